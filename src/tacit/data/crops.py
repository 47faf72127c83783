"""Crops: which part of an image is read.

Any function of the width, the height and a random generator that returns a box can stand in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tacit.codec import Box
from tacit.errors import InvalidInput

Crop = Callable[[int, int, np.random.Generator], Box]


@dataclass(frozen=True)
class RandomCrop:
    """A square anywhere in the image.

    Raises:
        InvalidInput: The size is below 1; when called, the image is smaller than the crop.
    """

    size: int
    """Width and height in pixels."""

    def __post_init__(self) -> None:
        _check_crop(self.size)

    def __call__(self, width: int, height: int, rng: np.random.Generator) -> Box:
        """Draw the box of a crop."""
        _check_image(width, height, self.size)
        left, top = int(rng.integers(width - self.size + 1)), int(rng.integers(height - self.size + 1))
        return left, top, left + self.size, top + self.size


@dataclass(frozen=True)
class CenterCrop:
    """The square in the middle of the image.

    Raises:
        InvalidInput: The size is below 1; when called, the image is smaller than the crop.
    """

    size: int
    """Width and height in pixels."""

    def __post_init__(self) -> None:
        _check_crop(self.size)

    def __call__(self, width: int, height: int, rng: np.random.Generator) -> Box:
        """Return the box of the crop."""
        _check_image(width, height, self.size)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        return left, top, left + self.size, top + self.size


def _check_crop(size: int) -> None:
    if size < 1:
        raise InvalidInput(f"a crop must have 1 pixel or more a side, got {size}")


def _check_image(width: int, height: int, size: int) -> None:
    if min(width, height) < size:
        raise InvalidInput(f"the image must be {size}x{size} pixels or larger for this crop, got {width}x{height}")
