"""What a piece of work took: time and memory."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """seconds: of the wall clock. memory: peak bytes beyond what the process held before; for another program, its own
    peak. cpu: seconds that processors worked, all threads together: what `seconds` would be on an idle machine, where
    the work is of one thread. None where the system does not say."""

    seconds: float
    memory: int | None
    cpu: float | None = None


def measured(work: Callable[[], T]) -> tuple[T, Cost]:
    """The result of `work`, done in this process, and its cost.

    Memory is what Linux says of this process, so that other threads' counts too; None on other systems.
    """
    before = _forget_peak()
    begun, worked = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
    peak = _status("VmHWM")
    return result, Cost(seconds, None if before is None or peak is None else max(0, peak - before), cpu)


def _forget_peak() -> int | None:
    """Give free memory back and set the peak to what is held; returns that, in bytes."""
    if sys.platform != "linux":
        return None
    try:
        ctypes.CDLL(None).malloc_trim(0)  # else memory that earlier work has freed hides what this work needs
    except (OSError, AttributeError):
        pass  # another C library than GNU's
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def _status(field: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    values = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    value = next(values, None)
    return None if value is None else int(value) * 1024
