"""Data sets to measure on: folders, lists, and the sets that papers use, by name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tacit.captions import CaptionMap
from tacit.errors import InvalidInput
from tacit.evaluation.datasets.clic import PROFESSIONAL_VALIDATION, clic_dataset
from tacit.evaluation.datasets.coco import coco_dataset
from tacit.evaluation.datasets.dataset import Dataset, DatasetImage, EmptyDataset
from tacit.evaluation.datasets.div2k import div2k_dataset
from tacit.evaluation.datasets.folder import folder_dataset
from tacit.evaluation.datasets.image_list import listed_dataset
from tacit.evaluation.datasets.kodak import KODAK, kodak_dataset

__all__ = ["COMPLETE", "DATASETS", "Dataset", "DatasetImage", "EmptyDataset", "load_dataset"]

DATASETS: Mapping[str, Callable[[Path], Dataset]] = MappingProxyType(
    {"kodak": kodak_dataset, "clic": clic_dataset, "div2k": div2k_dataset, "coco": coco_dataset}
)
"""Data sets that are known by name; each takes the path of its files."""

COMPLETE: Mapping[str, tuple[str, ...]] = MappingProxyType({"Kodak": KODAK, "CLIC": PROFESSIONAL_VALIDATION})
"""The names of all images, sorted, of the sets over which others have published curves."""


def load_dataset(source: str, *, captions: str | os.PathLike[str] | None = None, limit: int | None = None) -> Dataset:
    """Load a data set.

    Args:
        source: A folder (all images below it); a `.jsonl` file with a line `{"file": ..., "caption": ...}` for each
            image, files relative to it; an image; or NAME:PATH for one of `DATASETS`, where NAME alone means the folder
            of that name in $TACIT_DATA.
        captions: A caption map, as `tacit encode --captions` reads it. None for the set's own captions: those in
            the `.jsonl` file, those of FOLDER.jsonl beside FOLDER, COCO's annotations, else `photo.txt` beside
            `photo.jpg`.
        limit: How many images to take, from the first one; None for all.

    Raises:
        PathError: A file or folder is not there, or cannot be read.
        EmptyDataset: There is no image in the data set.
        InvalidInput: A file is not what its name says, or two images have one name.
    """
    kind, _, rest = source.partition(":")
    if kind.lower() in DATASETS and (rest or not Path(source).exists()):
        dataset = DATASETS[kind.lower()](Path(rest) if rest else _data_folder(kind.lower()))
    elif source.lower().endswith((".jsonl", ".ndjson")):
        dataset = listed_dataset(Path(source))
    else:
        dataset = folder_dataset(Path(source))
    images = dataset.images
    notes = dataset.notes
    if limit is not None and limit < len(images):
        notes = (*notes, f"the first {limit} of {len(images)} images")
        images = images[:limit]
    if not images:
        why = "".join(f"; {name}: {problem}" for name, problem in dataset.problems.items())
        raise EmptyDataset(f"{source}: no images in it{why}")
    if captions is not None:
        mapping = CaptionMap.load(captions)
        images = tuple(dataclasses.replace(image, caption=mapping.find(image.path)) for image in images)
    return Dataset(dataset.name, images, notes, dataset.problems)


def _data_folder(name: str) -> Path:
    folder = os.environ.get("TACIT_DATA")
    if not folder:
        raise InvalidInput(f"{name}: name its folder, {name}:PATH, or set TACIT_DATA to the folder that has {name}/")
    return Path(folder, name)
