"""How many threads a codec's work takes, and how many regions are worked on at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tacit.container import Region
from tacit.engine.threads import current_threads, thread_count

__all__ = ["map_regions", "map_threads", "thread_count"]

S = TypeVar("S")
T = TypeVar("T")

ITEMS_AT_A_TIME = 16


def map_threads(work: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """Return `work(item)` for each item, several at a time; for work that is no model's, such as copying images."""
    count = min(current_threads(), len(items), ITEMS_AT_A_TIME)
    if count < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(count, thread_name_prefix="tacit-item") as pool:
        return list(pool.map(work, items))


def map_regions(work: Callable[[int, Region], T], regions: Sequence[Region], at_a_time: int) -> list[T]:
    """Return `work(index, region)` for each region, several of them at a time where there are threads.

    Several regions are then worked on with fewer threads each: two threads on two regions are done sooner than two
    threads on one region after the other.

    Args:
        work: Is called in threads.
        regions: The regions.
        at_a_time: How many regions are worked on at a time, at most.
    """
    threads = current_threads()
    count = min(threads, len(regions), at_a_time)
    if count < 2:
        return [work(index, region) for index, region in enumerate(regions)]

    def one(index: int, region: Region) -> T:
        with thread_count(threads // count):
            return work(index, region)

    with ThreadPoolExecutor(count, thread_name_prefix="tacit-region") as pool:
        return list(pool.map(one, range(len(regions)), regions))
