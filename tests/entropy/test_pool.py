"""Streams are the same whether this process codes them or several others do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from tacit import machine
from tacit.entropy import pool as pools
from tacit.entropy.coder import SymbolModels
from tacit.entropy.pool import CoderPool, coders
from tacit.entropy.streams import LocalCoders, Stream, StreamCoders, StreamModels
from tacit.entropy.tables import gaussian_tables
from tacit.errors import CorruptFile, TacitError

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has it")

SIZES = (60, 40, 300)
HYPER = 8  # hyper-latents of each channel
MODELS = StreamModels(
    SymbolModels(gaussian_tables([0.5, 2.0, 6.0])), SymbolModels(gaussian_tables([0.02, 0.3, 1.5, 40.0])), 1
)


def drawn(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hyper-latents, tables and symbols; some symbols are escaped."""
    rng = np.random.default_rng(seed)
    hyper = rng.integers(-20, 21, (images, 3 * HYPER)).astype(np.int16)
    tables = rng.integers(0, 4, (images, sum(SIZES))).astype(np.uint8)
    symbols = np.where(tables > 0, rng.integers(-400, 401, tables.shape) // 2 ** rng.integers(0, 9, tables.shape), 0)
    return hyper, tables, symbols.astype(np.int16)


def decoded(some: StreamCoders, streams: list[Stream], tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with closing(some.decode(MODELS, streams)) as decoders:
        hyper = decoders.hyper(HYPER)
        symbols = np.full(tables.shape, 77, np.int16)
        start = 0
        for size in SIZES:
            part = np.empty((len(streams), size), np.int16)
            decoders.step(tables[:, start : start + size], part)
            symbols[:, start : start + size] = part
            start += size
        decoders.finish()
    return hyper, symbols


@pytest.fixture(scope="module")
def two() -> Iterator[CoderPool]:
    with closing(CoderPool(2)) as pool:
        yield pool


@pytest.mark.parametrize("images", [1, 2, 5])
@pytest.mark.parametrize("falling", [False, True])
def test_processes_code_as_this_one_does(two: CoderPool, images: int, falling: bool) -> None:
    hyper, tables, symbols = drawn(images)
    streams = LocalCoders().encode(MODELS, hyper, SIZES, tables, symbols, falling)
    assert two.encode(MODELS, hyper, SIZES, tables, symbols, falling) == streams
    for some in (LocalCoders(), two):
        found = decoded(some, streams, tables)
        assert np.array_equal(found[0].reshape(hyper.shape), hyper)
        assert np.array_equal(found[1], symbols)


def test_processes_decode_beginnings_as_this_one_does(two: CoderPool) -> None:
    hyper, tables, symbols = drawn(3)
    whole = LocalCoders().encode(MODELS, hyper, SIZES, tables, symbols, True)
    streams = [whole[0], Stream(whole[1].data[:400], True, cut=True), Stream(b"", True, cut=True)]
    expected, found = (decoded(some, streams, tables) for some in (LocalCoders(), two))
    assert all(np.array_equal(one, other) for one, other in zip(expected, found, strict=True))
    assert np.array_equal(found[1][0], symbols[0])
    assert 0 < (found[1][1] != 0).sum() < (symbols[1] != 0).sum()
    assert not found[1][2].any()


def test_several_threads_share_the_processes(two: CoderPool) -> None:
    def round_trip(seed: int) -> bool:
        hyper, tables, symbols = drawn(3, seed)
        streams = two.encode(MODELS, hyper, SIZES, tables, symbols)
        found = decoded(two, streams, tables)
        return np.array_equal(found[0].reshape(hyper.shape), hyper) and np.array_equal(found[1], symbols)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(round_trip, range(12)))


def test_a_damaged_stream_is_an_error_and_costs_no_other(two: CoderPool) -> None:
    hyper, tables, symbols = drawn(4)
    streams = LocalCoders().encode(MODELS, hyper, SIZES, tables, symbols)
    data = streams[2].data
    for damaged in map(Stream, (b"123", data + bytes(400), b"\xff" * len(data))):
        with pytest.raises(CorruptFile) as local:
            decoded(LocalCoders(), [*streams[:2], damaged, streams[3]], tables)
        with pytest.raises(CorruptFile) as pooled:
            decoded(two, [*streams[:2], damaged, streams[3]], tables)
        assert str(pooled.value) == str(local.value)
    assert np.array_equal(decoded(two, streams, tables)[1], symbols)


@pytest.mark.slow
def test_a_process_that_ended_is_an_error_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 4)
    monkeypatch.setattr(pools, "_pools", [])
    hyper, tables, symbols = drawn(8)
    first = coders(8, 4)
    assert isinstance(first, CoderPool)
    assert coders(8, 4) is first
    assert isinstance(coders(7, 4), LocalCoders)
    assert isinstance(coders(8, 3), LocalCoders)
    streams = first.encode(MODELS, hyper, SIZES, tables, symbols)
    first._workers[1].kill()
    first._workers[1].wait()
    with pytest.raises(TacitError, match="a process of the range coder has ended"):
        first.encode(MODELS, hyper, SIZES, tables, symbols)
    second = coders(8, 4)
    assert all(process.poll() is not None for process in first._workers)
    assert isinstance(second, CoderPool)
    assert second.encode(MODELS, hyper, SIZES, tables, symbols) == streams
    second.close()


def test_few_cores_need_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert isinstance(coders(64, 16), LocalCoders)


PROGRAM = """
import os, sys
from tacit import machine
machine.cores = lambda: 4
from tacit.entropy import pool
first = pool.coders(8, 4)
assert not {"torch", "PIL"} & set(sys.modules)
child = os.fork()
if child == 0:
    second = pool.coders(8, 4)
    own = second is not first and second.number() == 0
    second.close()
    os._exit(0 if own else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), *(worker.pid for worker in first._workers))
"""


@pytest.mark.slow
def test_processes_end_with_their_own_and_a_fork_has_others() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    status, *processes = map(int, done.stdout.split())
    assert status == 0
    assert done.stderr == ""
    assert len(processes) == 4
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
