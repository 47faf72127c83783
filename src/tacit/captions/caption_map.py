"""Look-up of an image's caption in a caption map, by the image's path or name."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tacit.captions.caption_entries import read_caption_entries
from tacit.files import IMAGE_SUFFIXES, TACIT_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class CaptionMap:
    """The first caption of each image in a caption map; read one with `CaptionMap.load`.

    An image finds its caption by its path relative to the map's folder, else by its file name, else by its name
    without suffix. Where two files with different captions share a name, that name finds nothing: a caption is never
    guessed.
    """

    name: str
    """The map's path, for messages."""
    folder: Path
    """The map's folder, as an absolute path."""
    captions: Mapping[str, str]
    """Captions by path relative to `folder`, with forward slashes."""
    by_name: Mapping[str, str | None]
    """Captions by file name; None for a name with several captions."""
    by_stem: Mapping[str, str | None]
    """Captions by file name without an image's suffix; None for a name with several captions."""

    @staticmethod
    def load(path: str | os.PathLike[str]) -> CaptionMap:
        """Read a caption map; of several captions of an image, the first counts.

        Raises:
            PathError: The file cannot be read.
            InvalidInput: The file is not a caption map.
        """
        folder = Path(os.path.abspath(path)).parent
        captions: dict[str, str] = {}
        for entry in read_caption_entries(path):
            if entry.captions:
                captions.setdefault(file_key(entry.file, folder), entry.captions[0])
        return CaptionMap(
            name=str(Path(path)),
            folder=folder,
            captions=captions,
            by_name=_index(captions, posixpath.basename),
            by_stem=_index(captions, _bare_stem),
        )

    def find(self, path: str | os.PathLike[str]) -> str | None:
        """Return the caption of the image at `path`, or None where the map has none for it."""
        relative = file_key(os.path.abspath(path), self.folder)
        name = posixpath.basename(relative)
        stem = _bare_stem(name)
        return (
            self.captions.get(relative)
            or self.captions.get(name)
            or self.by_name.get(name)
            or self.captions.get(stem)
            or self.by_stem.get(stem)
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


def _index(captions: Mapping[str, str], part: Callable[[str], str]) -> dict[str, str | None]:
    """Return `captions` by a part of their keys; None where several captions share that part."""
    index: dict[str, str | None] = {}
    for key, caption in captions.items():
        if index.setdefault(part(key), caption) != caption:
            index[part(key)] = None
    return index
