"""The Kodak data set: 24 photographs of 768x512 pixels, kodim01.png to kodim24.png."""

from __future__ import annotations

from pathlib import Path

from tacit.evaluation.datasets.dataset import Dataset
from tacit.evaluation.datasets.folder import complete_dataset

KODAK = tuple(f"kodim{i:02}.png" for i in range(1, 25))
"""The names of the Kodak images."""


def kodak_dataset(path: Path) -> Dataset:
    """Return the Kodak images below a folder; a note says which are missing."""
    return complete_dataset(path, "Kodak", KODAK)
