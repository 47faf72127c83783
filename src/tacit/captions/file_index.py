"""Look-up of what a list says of an image, by the image's path or name."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from tacit.files import IMAGE_SUFFIXES, TACIT_SUFFIXES

T = TypeVar("T")


class FileIndex(Generic[T]):
    """Values by image: by the path relative to the list's folder, else by file name, else by name without suffix.

    Where two files with different values share a name, that name finds nothing: a value is never guessed.

    Args:
        values: By path, as `file_key` spells it.
        folder: The list's folder, as an absolute path.
    """

    def __init__(self, values: Mapping[str, T], folder: Path) -> None:
        self.folder = folder
        self.values = values
        self._by_name = _index(values, posixpath.basename)
        self._by_stem = _index(values, _bare_stem)

    def find(self, path: str | os.PathLike[str]) -> T | None:
        """Return the value of the image at `path`, or None where there is none, or an empty one."""
        relative = file_key(os.path.abspath(path), self.folder)
        name = posixpath.basename(relative)
        stem = _bare_stem(name)
        return (
            self.values.get(relative)
            or self.values.get(name)
            or self._by_name.get(name)
            or self.values.get(stem)
            or self._by_stem.get(stem)
        )


def file_key(file: str, folder: Path) -> str:
    """Return the one spelling of a file: relative to `folder`, forward slashes, composed accents (not as macOS)."""
    if os.path.isabs(file):
        file = os.path.relpath(file, folder)
    return unicodedata.normalize("NFC", posixpath.normpath(file.replace("\\", "/")))


def _bare_stem(key: str) -> str:
    """Return the file name without an image's suffix; any other dot belongs to the name (`photo.v2`)."""
    name = posixpath.basename(key)
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES | TACIT_SUFFIXES else name


def _index(values: Mapping[str, T], part: Callable[[str], str]) -> dict[str, T | None]:
    """Return `values` by a part of their keys; None where several values share that part."""
    index: dict[str, T | None] = {}
    for key, value in values.items():
        if index.setdefault(part(key), value) != value:
            index[part(key)] = None
    return index
