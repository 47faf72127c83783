"""What a result says of where it was measured, and where the scripts find data."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def describe_machine() -> dict[str, Any]:
    """Processor, cores, system, Python, torch: for a JSON file of results."""
    import torch

    return {
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "bf16": bool(torch.cpu._is_avx512_bf16_supported()),
        }
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def find_data(name: str) -> Path:
    """A folder of $TACIT_DATA, or of ../shared/data beside the repository.

    Exits with a message where it is not there.
    """
    base = os.environ.get("TACIT_DATA")
    folder = Path(base) if base else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / name).is_dir():
        raise SystemExit(f"{folder / name}: no such folder; name one, or set TACIT_DATA to the folder that has {name}/")
    return folder / name
