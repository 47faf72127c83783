"""One sample of a data set on its way from source to destination."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tacit.files import IMAGE_SUFFIXES, TACIT_SUFFIXES

if TYPE_CHECKING:
    import pyarrow

PHOTOS = frozenset(suffix.lstrip(".") for suffix in IMAGE_SUFFIXES)
TACIT = frozenset(suffix.lstrip(".") for suffix in TACIT_SUFFIXES)


@dataclass(frozen=True)
class Record:
    """What shares a name: an image and all that goes with it.

    key: the name, without suffix; folders in it are apart by "/". suffix: the image's, as it was ("jpg"); empty where
    there is no image. caption: what the sample says that the image shows. rest: everything else, by suffix ("" for a
    file that has none), unchanged. row: of a table, with all its columns. mtime: of the image's file, where that is
    known. problem: why the sample cannot be used.
    """

    key: str
    suffix: str = ""
    image: bytes | None = None
    caption: str | None = None
    rest: Mapping[str, bytes] = field(default_factory=dict)
    row: pyarrow.RecordBatch | None = None
    mtime: int = 0
    problem: str = ""


def named(key: str, suffix: str) -> str:
    """The file's name of a part of a record."""
    return f"{key}.{suffix}" if suffix else key


def split_member(name: str) -> tuple[str, str]:
    """Key and suffix as WebDataset has them: the suffix begins at the first dot of the name, but for one in front."""
    folder, base = posixpath.split(name)
    stem, dot, suffix = base[1:].partition(".")
    return (posixpath.join(folder, base[:1] + stem), suffix) if dot else (name, "")


def split_file(name: str) -> tuple[str, str]:
    """Key and suffix as folders have them: the suffix begins at the last dot (`photo.v2.jpg`)."""
    stem, suffix = posixpath.splitext(name)
    return stem, suffix.lstrip(".")


def is_inside(name: str) -> bool:
    """Whether a name stays inside the folder that it is put in, on every system."""
    parts = name.replace("\\", "/").split("/")
    return ".." not in parts and "" not in parts and "\0" not in name and ":" not in parts[0]
