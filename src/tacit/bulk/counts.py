"""The counts of a unit of work, which are added up over a run."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Numbers of images, bytes and more; the names are those of the manifest's JSON."""

    images: int = 0
    """Images that were coded."""
    failed: int = 0
    """Images that were left out."""
    captions: int = 0
    """Coded images that have a caption."""
    unboxed: int = 0
    """Coded images without a box, where boxes were to be steered to."""
    others: int = 0
    """Samples and files without an image."""
    pixels: int = 0
    """Pixels of the coded images."""
    bytes_in: int = 0
    """Bytes of the coded images before."""
    bytes_out: int = 0
    """Bytes of the coded images after."""
    bytes_rest: int = 0
    """Bytes of everything else."""
    verified: int = 0
    """Images whose latents were read back and compared."""
    lost: int = 0
    """Workers that were lost at a unit before it was done."""
    measured: int = 0
    """Images whose PSNR is known and finite."""


COUNTS = tuple(field.name for field in fields(Counts))
