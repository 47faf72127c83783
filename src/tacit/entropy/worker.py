"""A process of `tacit.entropy.pool`: it takes requests from its input, and answers them until that ends."""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import struct
import sys
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from tacit.entropy.streams import Stream, StreamDecoder, StreamModels, encode_stream
from tacit.errors import CorruptFile

_LENGTH = struct.Struct("<Q")


def send(pipe: IO[bytes], message: object) -> None:
    """Write a message to a pipe."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read a message from a pipe.

    Raises:
        EOFError: The other end is closed.
    """
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    return pickle.loads(_exactly(pipe, length))


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise EOFError
    return data


def shared_arrays(space: mmap.mmap, images: int, values: int) -> tuple[np.ndarray, np.ndarray]:
    """Return views of the shared memory: tables [images, values] uint8, and symbols, int16."""
    count = images * values
    symbols = np.frombuffer(space, np.int16, count).reshape(images, values)
    tables = np.frombuffer(space, np.uint8, count, offset=2 * count).reshape(images, values)
    return tables, symbols


class Worker:
    """What a process knows, and what it does by the names of the requests."""

    def __init__(self, space: mmap.mmap) -> None:
        self._space = space
        self._models: dict[int, StreamModels] = {}
        self._decoders: dict[int, list[StreamDecoder]] = {}

    def models(self, number: int, models: StreamModels) -> None:
        """Keep models under a number."""
        self._models[number] = models

    def encode(
        self,
        known: int,
        hyper: np.ndarray,
        sizes: Sequence[int],
        shape: tuple[int, int],
        own: slice,
        falling: bool,
    ) -> list[Stream]:
        """Return the streams of this process's images."""
        tables, symbols = (array[own] for array in shared_arrays(self._space, *shape))
        models = self._models[known]
        return [encode_stream(models, z, sizes, t, s, falling) for z, t, s in zip(hyper, tables, symbols, strict=True)]

    def decode(self, number: int, known: int, streams: Sequence[Stream]) -> None:
        """Begin to decode the streams of this process's images, under a number."""
        self._decoders[number] = [StreamDecoder(self._models[known], stream) for stream in streams]

    def hyper(self, number: int, count: int) -> np.ndarray:
        """Return the symbols of the hyper-latents."""
        return np.stack([decoder.hyper(count) for decoder in self._decoders[number]])

    def step(self, number: int, shape: tuple[int, int], own: slice) -> None:
        """Decode a step in the shared memory."""
        tables, symbols = (array[own] for array in shared_arrays(self._space, *shape))
        for decoder, own_tables, own_symbols in zip(self._decoders[number], tables, symbols, strict=True):
            decoder.step(own_tables, own_symbols)

    def finish(self, number: int) -> None:
        """Check that no data are left."""
        for decoder in self._decoders[number]:
            decoder.finish()

    def close(self, number: int) -> None:
        """Forget the decoders."""
        self._decoders.pop(number, None)


def main() -> None:
    """Answer the requests from the standard input: (name, arguments...)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that owns this one
    memory = int(sys.argv[2])
    worker = Worker(mmap.mmap(memory, os.fstat(memory).st_size))
    while True:
        try:
            name, *arguments = receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = getattr(worker, name)(*arguments)
        except CorruptFile as error:
            answer = error
        try:
            send(sys.stdout.buffer, answer)
        except BrokenPipeError:  # nobody waits for it any more
            os._exit(0)  # an ordinary end would try to write it again
