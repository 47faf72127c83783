"""The embeddings of captions in a folder's files, in half precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tacit.errors import CorruptWeights
from tacit.text.tokens import TextTokens
from tacit.training.dataset.caption_files import (
    MAX_FILE_SIZE,
    caption_file,
    caption_files,
    read_caption_file,
    write_caption_file,
)

KIND = "captions"
ENCODED_AT_ONCE = 128  # captions


@dataclass(frozen=True)
class _Place:
    """Where a caption's embeddings are."""

    file: int
    start: int  # the first row
    length: int  # rows


class EmbeddingFiles:
    """The embeddings of the captions that a folder has.

    Args:
        folder: The folder of the files.
        encoder: Name of the text encoder that makes the embeddings.
        width: Their channels.
    """

    def __init__(self, folder: Path, encoder: str, width: int) -> None:
        self.folder = folder
        self.encoder = encoder
        self.width = width
        self._places: dict[str, _Place] | None = None
        self._rows: dict[int, Any] = {}

    def find(self, caption: str) -> Tensor | None:
        """Return a caption's embeddings [T, D] float16, or None where the folder does not have the caption.

        Raises:
            CorruptWeights: A file is damaged, or was made by another encoder.
        """
        if self._places is None:
            self._places = self._index()
        if (place := self._places.get(caption)) is None:
            return None
        if place.file not in self._rows:
            from safetensors import safe_open

            stored: Any = safe_open(caption_file(self.folder, KIND, place.file), framework="pt")
            self._rows[place.file] = stored.get_slice("rows")
        rows: Tensor = self._rows[place.file][place.start : place.start + place.length]
        return rows

    def add(self, captions: Iterable[str], encode: Callable[[Sequence[str]], TextTokens]) -> int:
        """Encode the captions that the folder does not have yet, and write them to new files.

        Returns:
            How many captions were encoded.

        Raises:
            PathError: A file cannot be written.
            CorruptWeights: A file is damaged, or was made by another encoder.
        """
        known = self._index()
        missing = [c for c in dict.fromkeys(captions) if c and c not in known]
        first = 1 + max((place.file for place in known.values()), default=-1)
        for number, part in enumerate(_parts(missing, encode), first):
            metadata = {"encoder": self.encoder, "width": self.width, "captions": [c for c, _ in part]}
            lengths = torch.tensor([len(rows) for _, rows in part], dtype=torch.int32)
            tensors = {"rows": torch.cat([rows for _, rows in part]), "lengths": lengths}
            write_caption_file(caption_file(self.folder, KIND, number), tensors, metadata)
        self._places = None
        return len(missing)

    def _index(self) -> dict[str, _Place]:
        places: dict[str, _Place] = {}
        for number, path in enumerate(caption_files(self.folder, KIND)):
            tensors, metadata = read_caption_file(path, "lengths")
            if (metadata["encoder"], metadata["width"]) != (self.encoder, self.width):
                raise CorruptWeights(
                    f"{path}: the embeddings must be made by {self.encoder} with {self.width} channels, "
                    f"got {metadata['encoder']} with {metadata['width']}"
                )
            start = 0
            for caption, length in zip(metadata["captions"], tensors["lengths"].tolist(), strict=True):
                places[caption] = _Place(number, start, length)
                start += length
        return places


def _parts(
    captions: Sequence[str], encode: Callable[[Sequence[str]], TextTokens]
) -> Iterator[list[tuple[str, Tensor]]]:
    """Yield captions with their embeddings [T, D] float16, in lists that each fit into one file."""
    part: list[tuple[str, Tensor]] = []
    size = 0
    for start in range(0, len(captions), ENCODED_AT_ONCE):
        some = captions[start : start + ENCODED_AT_ONCE]
        tokens = encode(some)
        for caption, rows, mask in zip(some, tokens.embeddings, tokens.mask, strict=True):
            kept = rows[mask].half()
            more = kept.numel() * 2 + 6 * len(caption) + 8  # JSON may write a character as six
            if part and size + more > MAX_FILE_SIZE:
                yield part
                part, size = [], 0
            part.append((caption, kept))
            size += more
    if part:
        yield part
