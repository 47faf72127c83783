"""The contents of a file as values.

Each field of `Metadata` is a chunk, and brings its row of the table in `tacit.container.chunks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from tacit.container.header import Header
from tacit.container.payloads import caption as caption_payload
from tacit.container.payloads import compressed


class Payload(Protocol):
    """A module of `payloads` that can write and read a value of `Metadata`."""

    def encode(self, value: Any, /) -> bytes:
        """Return the payload for a value.

        Raises:
            FileError: A file may not hold this value.
        """

    def decode(self, payload: memoryview, /) -> Any:
        """Return the value in a payload.

        Raises:
            FileError: The payload breaks a rule, or needs a newer reader.
        """


def _chunk(letter: str, payload: Payload) -> Any:
    """Return a field of `Metadata` that is None by default, and a chunk of this type in a file."""
    return field(default=None, metadata={"letter": letter, "payload": payload})


@dataclass(frozen=True)
class Metadata:
    """The caption and the metadata that a file may hold. Each field is the chunk of its name in `CHUNKS`.

    The fields are in the order of writing.
    """

    caption: str | None = _chunk("c", caption_payload)
    """A text that says what the image shows, at most 65,535 bytes of UTF-8."""
    icc: bytes | None = _chunk("i", compressed)
    """The ICC profile, at most 16 MiB."""
    exif: bytes | None = _chunk("e", compressed)
    """EXIF as a TIFF structure, at most 16 MiB."""
    xmp: bytes | None = _chunk("x", compressed)
    """The XMP packet, at most 16 MiB."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """A whole file."""

    header: Header
    metadata: Metadata
    alpha: bytes | None
    """The payload of the alpha chunk, method byte included; None without alpha, or where salvage has lost it."""
    regions: tuple[bytes | None, ...]
    """The entropy-coded bytes of the regions in raster order; None for one of which there are none."""
    cut: frozenset[int] = frozenset()
    """The numbers of the regions of whose bytes only the beginning is there."""
    damage: tuple[str, ...] = ()
    """After salvage, a line for everything that was wrong."""
