"""How many threads a call takes: each thread of a program has a count of its own, which its calls follow."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tacit import machine

_local = threading.local()


def given_threads() -> int | None:
    """Return the count that this thread was given; None where it was given none."""
    count: int | None = getattr(_local, "count", None)
    return count


def current_threads() -> int:
    """Return how many threads work takes that this thread begins.

    Where it was given no count, that is what the program has set for torch, if it uses torch (whose DataLoader gives
    each worker one thread); else what OMP_NUM_THREADS says, as it does of other numerical libraries; else one for each
    core.
    """
    count = given_threads()
    if count is not None:
        return count
    torch = sys.modules.get("torch")
    if hasattr(torch, "get_num_threads"):  # which a torch that is being imported in another thread has not
        return int(torch.get_num_threads())  # type: ignore[union-attr]
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() and int(said) else machine.cores()


@contextmanager
def thread_count(threads: int | None) -> Iterator[None]:
    """Run with this many threads; the count that this thread had before is put back afterwards.

    Args:
        threads: The number of threads; None to leave it as it is.
    """
    if threads is None:
        yield
        return
    before = given_threads()
    _local.count = threads
    try:
        yield
    finally:
        _local.count = before
