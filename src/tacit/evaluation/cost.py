"""What a piece of work costs: time and memory."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """The time and memory that a piece of work took."""

    seconds: float
    """The time by the clock."""
    memory: int | None
    """The peak in bytes beyond what the process held before, or another program's own peak; None if not known."""
    cpu: float | None = None
    """The seconds that processors worked, all threads together; None if not known.

    For work of one thread this is what `seconds` would be on an idle machine.
    """


def measure_cost(work: Callable[[], T]) -> tuple[T, Cost]:
    """Do a piece of work in this process.

    The memory is what Linux reports for this process, so other threads' memory counts too; it is None on other systems.

    Returns:
        The result of `work`, and its cost.
    """
    before = _reset_peak()
    start, cpu_start = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    peak = _status("VmHWM")
    return result, Cost(seconds, None if before is None or peak is None else max(0, peak - before), cpu)


def _reset_peak() -> int | None:
    """Give free memory back to the system, reset the peak to what is held, and return that in bytes."""
    if sys.platform != "linux":
        return None
    # Without this, memory that earlier work has freed hides what this work needs; only GNU's C library has it.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
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
