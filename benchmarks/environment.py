"""Describe the machine of a measurement, and find the data that benchmarks need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tacit.evaluation import provenance


def describe_machine() -> dict[str, Any]:
    """Describe processor, cores, memory, system, Python and torch for a JSON file of results."""
    import torch

    return {
        "machine": {
            **provenance.describe_machine(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "bf16": bool(torch.cpu._is_avx512_bf16_supported()),  # noqa: SLF001 - torch has no public name for it
        }
    }


def find_data(name: str) -> Path:
    """Return a folder of $TACIT_DATA, or of ../shared/data beside the repository.

    The process exits with a message if the folder does not exist.
    """
    base = os.environ.get("TACIT_DATA")
    folder = Path(base) if base else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / name).is_dir():
        raise SystemExit(f"{folder / name}: no such folder; name one, or set TACIT_DATA to the folder that has {name}/")
    return folder / name
