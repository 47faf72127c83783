"""CLIC's validation and test sets."""

from __future__ import annotations

from pathlib import Path

from tacit.evaluation.datasets.dataset import Dataset
from tacit.evaluation.datasets.folder import folder_dataset


def clic_dataset(path: Path) -> Dataset:
    """Return the PNG files below a folder that holds one of CLIC's sets, or several."""
    everything = folder_dataset(path, "CLIC")
    images = tuple(image for image in everything.images if image.path.suffix.lower() == ".png")
    return Dataset("CLIC", images, (f"{len(images)} images of {path.name or 'CLIC'}",), everything.problems)
