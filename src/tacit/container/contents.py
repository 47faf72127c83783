"""The contents of a file as values."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.container.header import Header


@dataclass(frozen=True)
class Metadata:
    """The caption and the metadata that a file may hold. Each field is the chunk of its name in `CHUNKS`."""

    caption: str | None = None
    """A text that says what the image shows, at most 65,535 bytes of UTF-8."""
    icc: bytes | None = None
    """The ICC profile, at most 16 MiB."""
    exif: bytes | None = None
    """EXIF as a TIFF structure, at most 16 MiB."""
    xmp: bytes | None = None
    """The XMP packet, at most 16 MiB."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """A whole file."""

    header: Header
    metadata: Metadata
    alpha: bytes | None
    """The payload of the alpha chunk, method byte included; None without alpha, or where salvage has lost it."""
    regions: tuple[bytes | None, ...]
    """The entropy-coded bytes of the regions in raster order; None for one that salvage has lost."""
    damage: tuple[str, ...] = ()
    """After salvage, a line for everything that was wrong."""
