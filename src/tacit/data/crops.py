"""Which part of a picture is read. Any function of width, height and a random generator that gives a box will do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tacit.codec import Box
from tacit.errors import InvalidInput

Crop = Callable[[int, int, np.random.Generator], Box]


@dataclass(frozen=True)
class RandomCrop:
    """A square of `size` pixels anywhere. Raises: InvalidInput, where the picture is smaller."""

    size: int

    def __post_init__(self) -> None:
        _check_size(self.size)

    def __call__(self, width: int, height: int, rng: np.random.Generator) -> Box:
        _check(width, height, self.size)
        left, top = int(rng.integers(width - self.size + 1)), int(rng.integers(height - self.size + 1))
        return left, top, left + self.size, top + self.size


@dataclass(frozen=True)
class CenterCrop:
    """The square of `size` pixels in the middle. Raises: InvalidInput, where the picture is smaller."""

    size: int

    def __post_init__(self) -> None:
        _check_size(self.size)

    def __call__(self, width: int, height: int, rng: np.random.Generator) -> Box:
        _check(width, height, self.size)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        return left, top, left + self.size, top + self.size


def _check_size(size: int) -> None:
    if size < 1:
        raise InvalidInput(f"a crop of {size} pixels: at least 1 is needed")


def _check(width: int, height: int, size: int) -> None:
    if min(width, height) < size:
        raise InvalidInput(f"{width}x{height} pixels, less than a crop of {size}")
