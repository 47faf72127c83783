"""What a result records about where it was measured: the machine and the versions of the libraries."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping

from tacit import machine

LIBRARIES = ("tacit", "torch", "numpy", "pillow", "constriction")


def describe_machine() -> Mapping[str, str | int | None]:
    """Return the processor, the cores, the memory in bytes, the system and Python's version."""
    return {
        "processor": machine.processor(),
        "cores": machine.cores(),
        "memory": machine.total_memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def describe_libraries() -> Mapping[str, str]:
    """Return the versions of the libraries that every result depends on; codecs and metrics add their own."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
