"""Range coding in several processes, beside a GPU.

The range coder holds Python's lock, so that threads do not speed it up. The processes are small: they import neither
torch nor Pillow. They share memory with this one, through which the tables and symbols of each step go; over pipes go
only requests and streams. They end with this process.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import mmap
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import IO, Any, cast

import numpy as np

from tacit import machine
from tacit.entropy.streams import LocalCoders, Stream, StreamCoders, StreamModels
from tacit.entropy.worker import receive, send, shared_arrays
from tacit.errors import TacitError

LEAST_IMAGES = 8  # for fewer, requests cost what the processes save
LEAST_CORES = 4
MOST_PROCESSES = 16
_SPACE = 4 << 30  # bytes of shared memory that are reserved; only those that are used take memory
_PATIENCE = 5  # seconds that a process has to finish what it does
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tacit.entropy.worker import main; main()"


class CoderPool:
    """Processes that code streams; any thread may use them.

    Args:
        processes: How many.

    Raises:
        OSError: The processes cannot be started.
    """

    def __init__(self, processes: int) -> None:
        memory = os.memfd_create("tacit-coders")
        os.ftruncate(memory, _SPACE)
        self._space = mmap.mmap(memory, _SPACE)
        self._workers = [
            subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps([str(folder) for folder in sys.path]), str(memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(memory,),
            )
            for _ in range(processes)
        ]
        os.close(memory)
        self.lock = threading.Lock()
        """Whoever asks holds it: the processes and the shared memory serve one thread at a time."""
        self._numbers = itertools.count()
        self._known: weakref.WeakKeyDictionary[StreamModels, int] = weakref.WeakKeyDictionary()
        self.broken = False
        """Whether a process has ended."""

    def close(self) -> None:
        """End the processes."""
        self.broken = True
        for worker in self._workers:
            with contextlib.suppress(OSError):
                cast("IO[bytes]", worker.stdin).close()
            cast("IO[bytes]", worker.stdout).close()
        for worker in self._workers:
            try:
                worker.wait(timeout=_PATIENCE)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def ask(self, shares: Sequence[slice], request: Callable[[slice], tuple[Any, ...]]) -> list[Any]:
        """Send a request to each process that has images, and return their answers.

        Args:
            shares: What `shares` has returned.
            request: Returns the request to the process with these images.

        Raises:
            TacitError: A process has ended.
            CorruptFile: A process says so; all of them have done what was asked.
        """
        asked = [
            (worker, share) for worker, share in zip(self._workers, shares, strict=True) if share.stop > share.start
        ]
        try:
            for worker, share in asked:
                send(cast("IO[bytes]", worker.stdin), request(share))
            answers = [receive(cast("IO[bytes]", worker.stdout)) for worker, _ in asked]
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:  # ValueError: a closed pipe
            self.broken = True
            raise TacitError(f"a process of the range coder has ended ({type(error).__name__})") from error
        except BaseException:  # Ctrl-C: what was asked is not answered yet
            self.broken = True
            raise
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def shares(self, images: int) -> list[slice]:
        """Return which of so many images each process codes."""
        bounds = [images * number // len(self._workers) for number in range(len(self._workers) + 1)]
        return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]

    def arrays(self, images: int, values: int) -> tuple[np.ndarray, np.ndarray]:
        """Return views of the shared memory: tables [images, values] uint8, and symbols, int16."""
        return shared_arrays(self._space, images, values)

    def number(self) -> int:
        """Return a number that nothing has had before."""
        return next(self._numbers)

    def known(self, models: StreamModels) -> int:
        """Return the number by which the processes know the models."""
        if models not in self._known:
            number = self.number()
            self.ask(self.shares(len(self._workers)), lambda _: ("models", number, models))
            self._known[models] = number
        return self._known[models]

    def encode(
        self,
        models: StreamModels,
        hyper: np.ndarray,
        sizes: Sequence[int],
        tables: np.ndarray,
        symbols: np.ndarray,
        falling: bool = False,
    ) -> list[Stream]:
        """Return the streams."""
        shape = images, values = tables.shape
        if 3 * images * values > _SPACE:
            return LocalCoders().encode(models, hyper, sizes, tables, symbols, falling)
        with self.lock:
            known = self.known(models)
            shared_tables, shared_symbols = self.arrays(*shape)
            shared_tables[:], shared_symbols[:] = tables, symbols
            answers = self.ask(
                self.shares(images), lambda own: ("encode", known, hyper[own], tuple(sizes), shape, own, falling)
            )
        return list(itertools.chain.from_iterable(answers))

    def decode(self, models: StreamModels, streams: Sequence[Stream]) -> PooledDecoders:
        """Return decoders of the streams."""
        return PooledDecoders(self, models, streams)


class PooledDecoders:
    """Decodes streams in the processes of a pool."""

    def __init__(self, pool: CoderPool, models: StreamModels, streams: Sequence[Stream]) -> None:
        self._pool = pool
        self._shares = pool.shares(len(streams))
        self._number = pool.number()
        try:
            with pool.lock:
                known = pool.known(models)
                pool.ask(self._shares, lambda own: ("decode", self._number, known, list(streams[own])))
        except BaseException:
            self.close()
            raise

    def hyper(self, count: int) -> np.ndarray:
        """Return the symbols of the hyper-latents [B, Z count]."""
        with self._pool.lock:
            return np.concatenate(self._pool.ask(self._shares, lambda _: ("hyper", self._number, count)))

    def step(self, tables: np.ndarray, symbols: np.ndarray) -> None:
        """Decode a step."""
        shape = tables.shape[0], tables.shape[1]
        with self._pool.lock:
            shared_tables, shared_symbols = self._pool.arrays(*shape)
            shared_tables[:] = tables
            self._pool.ask(self._shares, lambda own: ("step", self._number, shape, own))
            symbols[:] = shared_symbols

    def finish(self) -> None:
        """Check that no data are left."""
        with self._pool.lock:
            self._pool.ask(self._shares, lambda _: ("finish", self._number))

    def close(self) -> None:
        """Forget what is not decoded yet."""
        with contextlib.suppress(TacitError), self._pool.lock:
            self._pool.ask(self._shares, lambda _: ("close", self._number))


_lock = threading.Lock()
_pools: list[CoderPool] = []  # the one that is in use


def _forget_pool() -> None:
    """Forget the parent's pool in a child that was forked, and whether another thread was starting it."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def coders(images: int, threads: int) -> StreamCoders:
    """Return what codes so many streams fastest beside a GPU: processes, where there are cores and images for them.

    The processes are started when they are first needed, and end with this one.

    Args:
        images: The number of streams.
        threads: How many threads the caller may use, which is how many processes are started at most.
    """
    processes = min(machine.cores(), threads, MOST_PROCESSES)
    if images < LEAST_IMAGES or processes < LEAST_CORES or not (hasattr(os, "memfd_create") and sys.executable):
        return LocalCoders()
    with _lock:
        if not _pools or _pools[0].broken:
            for pool in _pools:
                pool.close()
            try:
                _pools[:] = [CoderPool(processes)]
            except OSError:  # no more processes or memory are allowed here
                return LocalCoders()
        return _pools[0]


@atexit.register
def _close_pool() -> None:
    for pool in _pools:
        pool.close()
