"""A caption and its origin, found in the order given, map, sidecar, metadata."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tacit.captions.mapping import CaptionMap
from tacit.container import MAX_CAPTION
from tacit.errors import InvalidInput, PathError
from tacit.files import reason
from tacit.image import Raster

Origin = Literal["given", "map", "sidecar", "metadata"]


@dataclass(frozen=True)
class Caption:
    """A caption that is ready to use: stripped, not empty, of no control characters, at most 65,535 bytes."""

    text: str
    origin: Origin


def find_caption(
    path: str | os.PathLike[str] | None,
    photo: Raster | None = None,
    *,
    given: str | None = None,
    mapping: CaptionMap | None = None,
    use_metadata: bool = True,
) -> Caption | None:
    """The first caption of: `given`, `mapping`, the sidecar (`photo.txt` beside `photo.jpg`), the image's metadata.

    path: the image's, None where it has none (a pipe). photo: the image, for what its metadata says. An empty `given`
    means no caption, and nothing else is looked at; an empty one elsewhere is passed over.

    Raises: InvalidInput, for a caption that is too long or has control characters; PathError, for a sidecar that
    cannot be read.
    """
    if given is not None:
        text = _checked(given, "caption")
        return Caption(text, "given") if text else None
    if path is not None:
        if mapping is not None and (text := _checked(mapping.find(path) or "", f"caption in {mapping.name}")):
            return Caption(text, "map")
        if text := _sidecar(Path(path).with_suffix(".txt")):
            return Caption(text, "sidecar")
    if photo is not None and use_metadata and (text := _checked(photo.metadata.caption or "", "caption in metadata")):
        return Caption(text, "metadata")
    return None


def _sidecar(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(2 * MAX_CAPTION)  # with room for blanks around it
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise PathError(f"caption in {path} cannot be read: {reason(error)}") from error
    if len(data) == 2 * MAX_CAPTION:
        raise InvalidInput(f"caption in {path} has {len(data):,} bytes or more, at most {MAX_CAPTION:,} are possible")
    try:
        return _checked(data.decode("utf-8-sig"), f"caption in {path}")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"caption in {path} is not UTF-8 (byte {error.start})") from error


def _checked(text: str, name: str) -> str:
    """`text` without blanks around it, or InvalidInput that begins with `name`."""
    text = text.strip()
    for position, character in enumerate(text):
        # Surrogates are what undecodable bytes on the command line become; they have no UTF-8.
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
            raise InvalidInput(f"{name} has a control character (U+{ord(character):04X}, at position {position})")
    if (size := len(text.encode())) > MAX_CAPTION:
        raise InvalidInput(f"{name} has {size:,} bytes, at most {MAX_CAPTION:,} are possible")
    return text
