"""Data sets that are folders of images, or a single image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from tacit import files
from tacit.captions import CaptionMap, read_sidecar
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.datasets.dataset import Dataset, EmptyDataset, ListedImage, build_dataset
from tacit.evaluation.measurements import listed
from tacit.image import readable_suffixes


def folder_dataset(path: Path, name: str | None = None) -> Dataset:
    """Return the data set of all images below a folder, or of one image.

    Captions come from FOLDER.jsonl beside FOLDER, else from `photo.txt` beside `photo.jpg`.

    Args:
        path: The folder, or the image's file.
        name: The data set's name; None for that of the folder or file.

    Raises:
        EmptyDataset: The folder has no image.
        PathError: There is no such file or folder.
        InvalidInput: The file is not an image, or FOLDER.jsonl is not a caption map.
    """
    tasks = files.find([str(path)], readable_suffixes())
    unusable = [task for task in tasks if task.problem is not None]
    if unusable and len(unusable) == len(tasks):
        raise (EmptyDataset if path.is_dir() else InvalidInput)(f"{unusable[0].source}: {unusable[0].problem}")
    if not path.exists():
        raise PathError(f"{path}: no such file or folder")
    whole = path.resolve()
    named = whole if path.name in ("", "..") else path  # such as the folder that one is in
    beside = named.parent / (named.name + ".jsonl")
    captions = CaptionMap.load(beside) if path.is_dir() and named.name and beside.is_file() else None
    listed, problems = [], {}
    for task in tasks:
        if task.problem is None:
            file = Path(task.source)
            label = file.relative_to(path).as_posix() if path.is_dir() else file.name
            try:
                caption = (captions.find(file) if captions else None) or read_sidecar(file)
            except (PathError, InvalidInput) as error:
                problems[label] = str(error)
            else:
                listed.append(ListedImage(label, file, caption))
    return build_dataset(name or (whole.name if path.is_dir() else whole.stem), listed, problems=problems)


def complete_dataset(path: Path, name: str, file_names: Sequence[str]) -> Dataset:
    """Return the images of known names below a folder; a note says which are missing.

    Args:
        path: The folder.
        name: The data set's name.
        file_names: The names of its images' files.

    Raises:
        EmptyDataset: The folder has no image.
        PathError: There is no such folder.
    """
    everything = folder_dataset(path, name)
    images = tuple(image for image in everything.images if PurePath(image.name).name in file_names)
    missing = sorted(set(file_names) - {PurePath(image.name).name for image in images})
    notes = (
        (f"{len(missing)} of {name}'s {len(file_names)} images are missing: {listed(missing, 24)}",) if missing else ()
    )
    return Dataset(name, images, notes, everything.problems)
