"""Look-up of an image's caption in a caption map, by the image's path or name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tacit.captions.caption_entries import read_caption_entries
from tacit.captions.file_index import FileIndex, file_key


@dataclass(frozen=True)
class CaptionMap:
    """The first caption of each image in a caption map; read one with `CaptionMap.load`.

    An image finds its caption as `FileIndex` has it.
    """

    name: str
    """The map's path, for messages."""
    captions: FileIndex[str]
    """The captions by image."""

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
        return CaptionMap(str(Path(path)), FileIndex(captions, folder))

    @property
    def folder(self) -> Path:
        """The map's folder, as an absolute path."""
        return self.captions.folder

    def find(self, path: str | os.PathLike[str]) -> str | None:
        """Return the caption of the image at `path`, or None where the map has none for it."""
        return self.captions.find(path)
