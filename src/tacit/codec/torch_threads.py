"""torch's own count of threads, which follows the count that a call of the codec was given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tacit.engine.threads import given_threads

_lock = threading.Lock()
_counts: list[int] = []  # torch's thread count before each of the calls that have changed it and are not over


@contextmanager
def torch_threads() -> Iterator[None]:
    """Run with as many torch threads as this thread was given, and with the CPU as torch's default device.

    The count is put back afterwards, because it outlives a call. Each Python thread has its own count, and a new one
    takes the last count that any thread has set. Calls that overlap therefore put back what the first of them met, and
    not what another of them has set.
    """
    if torch.get_default_device().type != "cpu":
        # Where a program has set another, tensors that name no device would be made there.
        with torch.device("cpu"), torch_threads():
            yield
        return
    threads = given_threads()
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
