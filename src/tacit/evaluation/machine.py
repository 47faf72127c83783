"""What results say of where they were measured."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path

from tacit.evaluation.cost import cores

LIBRARIES = ("tacit", "torch", "numpy", "pillow", "constriction")


def describe_machine() -> Mapping[str, str | int | None]:
    """Processor, cores, memory in bytes, system and Python."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def describe_libraries() -> Mapping[str, str]:
    """Versions of what every result depends on; codecs and metrics name theirs themselves."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def _processor() -> str:
    found = _field("/proc/cpuinfo", "model name")
    return found or platform.processor() or "unknown"


def _memory() -> int | None:
    found = _field("/proc/meminfo", "MemTotal")
    return None if found is None else int(found.split()[0]) * 1024


def _field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)
