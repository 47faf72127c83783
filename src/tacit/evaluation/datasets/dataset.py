"""Data sets: images with captions, to be measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tacit import files
from tacit.errors import InvalidInput


class EmptyDataset(InvalidInput):
    """A data set that has no image."""


@dataclass(frozen=True)
class DatasetImage:
    """One image of a data set."""

    name: str
    """The image's name in results, unique in its data set."""
    path: Path
    """The image's file."""
    sha256: str
    """The hash of the file."""
    caption: str | None = None
    """The image's caption, if it has one."""


@dataclass(frozen=True)
class Dataset:
    """Images, in the order of their names."""

    name: str
    """The data set's name in results."""
    images: tuple[DatasetImage, ...]
    """The images."""
    notes: tuple[str, ...] = ()
    """What a reader of the results should know, such as that images are missing."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why files cannot be used, by their names."""


@dataclass(frozen=True)
class ListedImage:
    """An image that a folder or a list names, before its file has been read."""

    name: str
    """The image's name in results."""
    path: Path
    """The image's file."""
    caption: str | None
    """The image's caption, if it has one."""


def build_dataset(
    name: str, listed: Sequence[ListedImage], notes: Sequence[str] = (), problems: Mapping[str, str] | None = None
) -> Dataset:
    """Build a data set of images that a folder or a list names; files that cannot be read become problems.

    Args:
        name: The data set's name.
        listed: The images.
        notes: The data set's notes.
        problems: Problems that are known already.

    Raises:
        InvalidInput: Two images have one name.
    """
    images, problems = [], dict(problems or {})
    for entry in listed:
        try:
            digest = files.sha256(entry.path)
        except OSError as error:
            problems[entry.name] = f"cannot be read: {files.reason(error)}"
        except ValueError as error:  # a zero byte in the name
            problems[entry.name] = f"cannot be read: {error}"
        else:
            images.append(DatasetImage(entry.name, entry.path, digest, entry.caption or None))
    names = [image.name for image in images]
    for label in {label for label in names if names.count(label) > 1}:
        raise InvalidInput(f"{name}: two images are called {label}")
    return Dataset(name, tuple(images), tuple(notes), problems)
