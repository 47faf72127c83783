"""Data sets that are lists of image files with captions."""

from __future__ import annotations

from pathlib import Path, PurePath

from tacit.captions import read_caption_entries
from tacit.evaluation.datasets.dataset import Dataset, ListedImage, build_dataset


def listed_dataset(path: Path) -> Dataset:
    """Return the data set of the images in a list, each with the first of its captions.

    Args:
        path: A list as `read_caption_entries` reads it; its files are relative to its folder.

    Raises:
        PathError: The list cannot be read.
        InvalidInput: The file is not such a list.
    """
    entries = read_caption_entries(path, captions_required=False)
    listed = [
        ListedImage(PurePath(entry.file).as_posix(), path.parent / entry.file, next(iter(entry.captions), None))
        for entry in entries
    ]
    return build_dataset(path.stem, listed)
