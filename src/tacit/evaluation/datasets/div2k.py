"""DIV2K's validation set: 100 photographs of about 2000 pixels, 0801.png to 0900.png."""

from __future__ import annotations

from pathlib import Path

from tacit.evaluation.datasets.dataset import Dataset
from tacit.evaluation.datasets.folder import complete_dataset

VALIDATION = tuple(f"{i:04}.png" for i in range(801, 901))
"""The names of the images."""


def div2k_dataset(path: Path) -> Dataset:
    """Return the validation images of DIV2K below a folder; a note says which are missing."""
    return complete_dataset(path, "DIV2K", VALIDATION)
