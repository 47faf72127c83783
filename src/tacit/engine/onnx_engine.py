"""The engine that runs models' graphs with ONNX Runtime, on processors; its arrays are numpy's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from tacit.engine.limits import BATCH_PIXELS, REGIONS_AT_A_TIME

S = TypeVar("S")
T = TypeVar("T")


class OnnxEngine:
    """ONNX Runtime on the processor."""

    name = "onnx"
    device = "cpu"
    precision = "fp32"
    regions_at_a_time = REGIONS_AT_A_TIME
    overlaps = False

    def pixels_together(self) -> int:
        """Return how many pixels are coded together."""
        return BATCH_PIXELS

    def host_empty(self, shape: Sequence[int]) -> np.ndarray:
        """Return an array to be filled."""
        return np.empty(shape, np.uint8)

    def zeros(self, shape: Sequence[int], dtype: type[np.generic]) -> np.ndarray:
        """Return an array of zeros."""
        return np.zeros(shape, dtype)

    def stack(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return arrays of one shape as a batch."""
        return np.stack([np.asarray(array) for array in arrays])

    def from_host(self, array: np.ndarray) -> np.ndarray:
        """Return the array."""
        return array

    def to_host(self, array: np.ndarray) -> np.ndarray:
        """Return the array."""
        return array

    def fetch(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """Return what returns the array."""
        return lambda: array

    def map_overlapped(self, work: Callable[[S], T], parts: Sequence[S]) -> list[T]:
        """Return `work(part)` for each part."""
        return [work(part) for part in parts]
