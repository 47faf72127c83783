"""The small copy of an image that the cues look at."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tacit.finding.maps import Map, smoothed
from tacit.finding.superpixels import superpixels

SIDE = 192  # places along the longer side
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
) / np.array([[0.95047], [1.0], [1.08883]])


class View:
    """An image, and what several cues need of its small copy; each part is made when it is first asked for.

    Args:
        pixels: uint8 [H, W, 1 or 3].
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
        height, width = pixels.shape[:2]
        shrink = min(1.0, SIDE / max(height, width))
        self.shape = (max(1, round(height * shrink)), max(1, round(width * shrink)))
        """Rows and columns of the maps."""
        self.kept: dict[str, Any] = {}
        """What networks saw, so that each runs once for all phrases; by their names."""

    def resized(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the image's pixels at another size, uint8 [height, width, 3]."""
        image = Image.fromarray(np.ascontiguousarray(self.pixels))
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))

    @cached_property
    def rgb(self) -> Map:
        """The small copy, 0 to 1 [h, w, 3]."""
        return self.resized(self.shape[1], self.shape[0]).astype(np.float32) / 255

    @cached_property
    def lab(self) -> Map:
        """The small copy in CIELAB (D65): lightness 0 to 100, a and b [h, w, 3]."""
        linear = np.where(self.rgb <= 0.04045, self.rgb / 12.92, ((self.rgb + 0.055) / 1.055) ** 2.4)
        xyz = linear @ _TO_XYZ.T
        f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
        lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
        return lab.astype(np.float32)

    @cached_property
    def chroma(self) -> Map:
        """The small copy's chroma, 0 for greys [h, w]."""
        return np.hypot(self.lab[..., 1], self.lab[..., 2])

    @cached_property
    def hue(self) -> Map:
        """The small copy's hue angle in degrees, 0 to 360 [h, w]."""
        degrees: Map = np.degrees(np.arctan2(self.lab[..., 2], self.lab[..., 1])) % 360
        return degrees

    @cached_property
    def roughness(self) -> Map:
        """How much the lightness varies around each place: its standard deviation [h, w]."""
        light = self.lab[..., 0]
        variance = smoothed(light * light, 2) - smoothed(light, 2) ** 2
        deviation: Map = np.sqrt(np.maximum(variance, 0))
        return deviation

    @cached_property
    def superpixels(self) -> NDArray[np.int64]:
        """The number of the superpixel that each place belongs to [h, w]."""
        return superpixels(self.lab)

    @cached_property
    def across(self) -> Map:
        """Each place's position across, 0 to 1 [1, w]."""
        places: Map = ((np.arange(self.shape[1], dtype=np.float32) + 0.5) / self.shape[1])[None]
        return places

    @cached_property
    def down(self) -> Map:
        """Each place's position down, 0 to 1 [h, 1]."""
        places: Map = ((np.arange(self.shape[0], dtype=np.float32) + 0.5) / self.shape[0])[:, None]
        return places
