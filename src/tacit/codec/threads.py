"""How many threads torch uses for a codec's work, and how many regions are worked on at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from tacit.container import Region

S = TypeVar("S")
T = TypeVar("T")

REGIONS_AT_A_TIME = 4  # on a CPU; each takes some 100 MB
ITEMS_AT_A_TIME = 16

_lock = threading.Lock()
_counts: list[int] = []  # torch's thread count before each of the calls that have changed it and are not over


@contextmanager
def thread_count(threads: int | None) -> Iterator[None]:
    """Run with this many torch threads, and with the CPU as torch's default device.

    The count is put back afterwards, because it outlives a call. Each Python thread has its own count, and a new one
    takes the last count that any thread has set. Calls that overlap therefore put back what the first of them met, and
    not what another of them has set.

    Args:
        threads: The number of threads; None to leave torch's count as it is.
    """
    if torch.get_default_device().type != "cpu":
        # Where a program has set another, tensors that name no device would be made there.
        with torch.device("cpu"), thread_count(threads):
            yield
        return
    if threads is None:
        yield
        return
    with _lock:
        before = _counts[0] if _counts else torch.get_num_threads()
        _counts.append(before)
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        with _lock:
            _counts.pop()
            torch.set_num_threads(before)


def map_threads(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """Return `work(item)` for each item, several at a time; for work that is not torch's, such as copying images."""
    count = min(torch.get_num_threads(), len(items), ITEMS_AT_A_TIME)
    if count < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(count, thread_name_prefix="tacit-item") as pool:
        return list(pool.map(work, items))


def map_regions(work: Callable[[int, Region], T], regions: Sequence[Region], device: torch.device) -> list[T]:
    """Return `work(index, region)` for each region, several of them at a time on a CPU with threads.

    Several regions are then worked on with fewer threads each: two threads on two regions are done sooner than two
    threads on one region after the other.
    """
    threads = torch.get_num_threads()
    count = min(threads, len(regions), REGIONS_AT_A_TIME) if device.type == "cpu" else 1
    if count < 2:
        return [work(index, region) for index, region in enumerate(regions)]

    def one(index: int, region: Region) -> T:
        with thread_count(threads // count):
            return work(index, region)

    with ThreadPoolExecutor(count, thread_name_prefix="tacit-region") as pool:
        return list(pool.map(one, range(len(regions)), regions))
