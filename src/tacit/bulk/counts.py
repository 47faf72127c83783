"""What is counted of a unit, and added up over all of them."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Counts:
    """images: coded; failed: left out; captions: of the images; others: samples and files without an image. pixels, and
    bytes_in, bytes_out: of the images, before and after; bytes_rest: of everything else. verified: images whose latents
    were read back and compared. lost: workers that were lost at a unit before it was done. measured: images whose PSNR
    is known, and finite.
    """

    images: int = 0
    failed: int = 0
    captions: int = 0
    others: int = 0
    pixels: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    bytes_rest: int = 0
    verified: int = 0
    lost: int = 0
    measured: int = 0


COUNTS = tuple(field.name for field in fields(Counts))
