"""A raster checks its arrays."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.errors import InvalidInput
from tacit.image import Raster


@pytest.mark.parametrize(
    ("pixels", "alpha"),
    [
        (np.zeros((2, 2), np.uint8), None),
        (np.zeros((2, 2, 4), np.uint8), None),
        (np.zeros((2, 2, 3), np.float32), None),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), np.uint8)),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.int32)),
    ],
)
def test_raster_checks_its_arrays(pixels: np.ndarray, alpha: np.ndarray | None) -> None:
    with pytest.raises(InvalidInput, match="must be uint8"):
        Raster(pixels, alpha)
