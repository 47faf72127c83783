"""The Kodak data set: 24 photographs of 768x512 pixels, kodim01.png to kodim24.png."""

from __future__ import annotations

from pathlib import Path, PurePath

from tacit.evaluation.datasets.dataset import Dataset
from tacit.evaluation.datasets.folder import folder_dataset

KODAK = tuple(f"kodim{i:02}.png" for i in range(1, 25))
"""The names of the Kodak images."""


def kodak_dataset(path: Path) -> Dataset:
    """Return the Kodak images below a folder; a note says which are missing."""
    everything = folder_dataset(path, "Kodak")
    images = tuple(image for image in everything.images if PurePath(image.name).name in KODAK)
    missing = sorted(set(KODAK) - {PurePath(image.name).name for image in images})
    notes = [f"{len(missing)} of Kodak's 24 images are missing: {', '.join(missing)}"] if missing else []
    return Dataset("Kodak", images, tuple(notes), everything.problems)
