"""An image as arrays: what the codec encodes, and what it decodes to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tacit.container import Metadata
from tacit.errors import InvalidInput

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Raster:
    """An upright image as arrays of 8 bits, with its metadata.

    Raises:
        InvalidInput: The arrays do not have the shapes below.
    """

    pixels: Pixels
    """Colours, uint8 [H, W, 3] (RGB) or [H, W, 1] (grey)."""
    alpha: Pixels | None = None
    """Alpha, uint8 [H, W], or None where the image has no alpha channel. One that is 255 everywhere is kept."""
    metadata: Metadata = field(default_factory=Metadata)
    """The metadata that a `.tacit` file keeps.

    `icc` is as it was; `exif` is a TIFF structure whose orientation is 1; `xmp` is UTF-8; `caption` is what the image's
    own metadata says that it shows.
    """

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3):
            raise InvalidInput(f"pixels must be uint8 [H, W, 3] or [H, W, 1], got {self.pixels.dtype} {list(shape)}")
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != shape[:2]):
            form = f"{self.alpha.dtype} {list(self.alpha.shape)}"
            raise InvalidInput(f"alpha must be uint8 {list(shape[:2])} as the pixels are, got {form}")
        if not self.pixels.size:
            raise InvalidInput(f"image must have at least 1x1 pixels, got {shape[1]}x{shape[0]}")

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def mode(self) -> str:
        """Pillow's name for the channels: L, LA, RGB or RGBA."""
        return ("RGB" if self.pixels.shape[2] == 3 else "L") + ("" if self.alpha is None else "A")
