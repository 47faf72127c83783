"""What a result says of where it was measured, and where the scripts find data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tacit.evaluation import provenance


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory, system, Python, torch: for a JSON file of results."""
    import torch

    return {
        "machine": {
            **provenance.describe_machine(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "bf16": bool(torch.cpu._is_avx512_bf16_supported()),
        }
    }


def find_data(name: str) -> Path:
    """A folder of $TACIT_DATA, or of ../shared/data beside the repository.

    Exits with a message where it is not there.
    """
    base = os.environ.get("TACIT_DATA")
    folder = Path(base) if base else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / name).is_dir():
        raise SystemExit(f"{folder / name}: no such folder; name one, or set TACIT_DATA to the folder that has {name}/")
    return folder / name
