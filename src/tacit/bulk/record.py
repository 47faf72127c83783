"""One sample of a data set on its way from source to destination, and the names of its files."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tacit.files import IMAGE_SUFFIXES, TACIT_SUFFIXES
from tacit.image import readable_suffixes

if TYPE_CHECKING:
    import pyarrow

    from tacit.finding.box_map import ListedBox

IMAGE_EXTENSIONS = frozenset(suffix.lstrip(".") for suffix in IMAGE_SUFFIXES)
TACIT_EXTENSIONS = frozenset(suffix.lstrip(".") for suffix in TACIT_SUFFIXES)


def image_extensions() -> frozenset[str]:
    """Return the suffixes of all images that can be read here, without dots, in lower case."""
    return frozenset(suffix.lstrip(".") for suffix in readable_suffixes())


def first_image(suffixes: Iterable[str], extensions: Collection[str]) -> str | None:
    """Return which of the suffixes of one name is that of the image that is coded; None where there is no image.

    The first of a usual kind goes before all others, so that photo.tif is coded and not photo.psd.
    """
    images = [suffix for suffix in suffixes if suffix.lower() in extensions]
    usual = (suffix for suffix in images if suffix.lower() in IMAGE_EXTENSIONS)
    return next(usual, images[0] if images else None)


APPLE_DOUBLE = b"\0\5\x16\7"
"""The first bytes of an AppleDouble file."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The files that share a name, or a row of a table: an image and all that goes with it."""

    key: str
    """The name without suffix; folders in it are separated by "/"."""
    suffix: str = ""
    """The image's suffix in the source, such as "jpg"; empty where there is no image."""
    image: bytes | None = None
    """The bytes of the image's file; None where there is no image."""
    caption: str | None = None
    """The caption that the source has for the image."""
    boxes: tuple[ListedBox, ...] = ()
    """Boxes of what matters in the image, where the job takes them from somewhere."""
    rest: Mapping[str, bytes] = field(default_factory=dict)
    """Everything else, unchanged, by suffix ("" for a file that has none)."""
    row: pyarrow.RecordBatch | None = None
    """The row of a table, with all its columns; None for records of shards and folders."""
    mtime: int = 0
    """When the image's file was changed, in seconds since 1970; 0 where that is not known."""
    problem: str = ""
    """Why the record cannot be used; empty where it can."""


def file_name(key: str, suffix: str) -> str:
    """Return the name of a file from its record's key and its own suffix."""
    return f"{key}.{suffix}" if suffix else key


def split_member(name: str) -> tuple[str, str]:
    """Split a shard member's name into key and suffix as WebDataset does.

    The suffix begins at the first dot of the name, except one in front.
    """
    folder, base = posixpath.split(name)
    stem, dot, suffix = base[1:].partition(".")
    return (posixpath.join(folder, base[:1] + stem), suffix) if dot else (name, "")


def is_apple_double(name: str, content: bytes) -> bool:
    """Return whether a member is what macOS's tar puts beside a file, such as `._0001.jpg`: attributes, no image."""
    return posixpath.basename(name).startswith("._") and content.startswith(APPLE_DOUBLE)


def split_file(name: str) -> tuple[str, str]:
    """Split the name of a file in a folder into key and suffix, at the last dot (`photo.v2.jpg`)."""
    stem, suffix = posixpath.splitext(name)
    return stem, suffix.lstrip(".")


def is_inside(name: str) -> bool:
    """Return whether a name stays inside the folder that it is put in, on every system."""
    parts = name.replace("\\", "/").split("/")
    return ".." not in parts and "" not in parts and "\0" not in name and ":" not in parts[0]
