"""What a result records about where it was measured: the machine and the versions of the libraries."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping

from tacit import machine

LIBRARIES = ("tacit", "numpy", "pillow", "constriction", "onnxruntime", "torch")


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
    """Return the versions of the libraries that results depend on, where they are installed."""
    return {name: version for name in LIBRARIES if (version := _version(name)) is not None}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
