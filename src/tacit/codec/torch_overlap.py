"""Parts of a batch in flight on a GPU: while it computes one part, the host codes and copies those beside it."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import torch

from tacit.engine.threads import given_threads, thread_count

S = TypeVar("S")
T = TypeVar("T")

IN_FLIGHT = 3  # parts at a time: one computes, one codes, one is copied


def map_overlapped(work: Callable[[S], T], parts: Sequence[S], device: torch.device) -> list[T]:
    """Return `work(part)` for each part, several of them at a time, on a GPU each on a stream of its own.

    The GPU is done with a part when its work returns. What `work` returns must not be memory of the GPU that it has
    allocated, which its stream would use again; it may write to what the caller has allocated before.
    """
    if len(parts) < 2:
        return [work(part) for part in parts]
    before = torch.cuda.current_stream(device).record_event() if device.type == "cuda" else None
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(IN_FLIGHT):
        free.put(number)

    threads = given_threads()

    def one(part: S) -> T:
        number = free.get()
        try:
            with thread_count(threads), _on_stream(device, number, before):
                return work(part)
        finally:
            free.put(number)

    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="tacit-part") as pool:
        return list(pool.map(one, parts))


@contextmanager
def _on_stream(device: torch.device, number: int, before: torch.cuda.Event | None) -> Iterator[None]:
    """Run on a GPU's stream of this number, after an event, and wait for it at the end."""
    if before is None:
        yield
        return
    stream = _stream(device, number)
    with torch.cuda.stream(stream):
        stream.wait_event(before)
        try:
            yield
        finally:
            stream.synchronize()


@lru_cache(maxsize=64)
def _stream(device: torch.device, number: int) -> torch.cuda.Stream:
    """Return one of a few streams that are kept, as torch keeps memory for each stream."""
    return torch.cuda.Stream(device)
