"""What this machine has: cores, memory and the processor's name."""

from __future__ import annotations

import os
import platform
from pathlib import Path

# As Linux names them: of x86, then of Arm.
VECTOR_INSTRUCTIONS = (
    *("avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16"),
    *("asimd", "asimddp", "bf16"),
)


def cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory() -> int | None:
    """Return the size of the machine's memory in bytes, or None where the system does not report it."""
    return _kibibytes("MemTotal")


def available_memory() -> int | None:
    """Return how many bytes this process can allocate without swapping, or None where that is not known.

    Both the system's and the control group's limits count: in a container the second is usually the smaller.
    """
    limits = [] if (free := _kibibytes("MemAvailable")) is None else [free]
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
        limits += [] if limit == "max" else [max(0, int(limit) - int(used))]
    except (OSError, ValueError):
        pass
    return min(limits, default=None)


def let_threads_sleep() -> None:
    """Let the threads of torch sleep soon while they wait for each other; call it before torch is first imported.

    GNU's OpenMP, which torch's packages for Linux bring, lets them spin for milliseconds at each wait. Where another
    program has one of the cores, the thread that is waited for may be without one all this time: a refined encoding on
    two cores then takes some thirty times as long. What a user has set stays.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def processor() -> str:
    """Return the processor's name."""
    return _field("/proc/cpuinfo", "model name") or platform.processor() or "unknown"


def instruction_sets() -> tuple[str, ...]:
    """Return which of the vector instructions that matter for speed the processor has; none where that is not known."""
    flags = (_field("/proc/cpuinfo", "flags") or _field("/proc/cpuinfo", "Features") or "").split()
    return tuple(name for name in VECTOR_INSTRUCTIONS if name in flags)


def _kibibytes(name: str) -> int | None:
    """Return a field of /proc/meminfo, which is in units of 1024 bytes, as bytes."""
    text = _field("/proc/meminfo", name)
    return None if text is None else int(text.split()[0]) * 1024


def _field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)
