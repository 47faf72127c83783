"""The PSNR of 8-bit pixels."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from tacit.errors import InvalidInput
from tacit.image.psnr import STRIP, decibels, psnr


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 1), (40, 30, 3), (9, 8), (3, STRIP // 2)])
def test_it_is_the_logarithm_of_the_mean_squared_error(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    image, reference = (rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(2))
    error = np.square(image.astype(float) - reference).mean()
    assert psnr(image, reference) == pytest.approx(10 * math.log10(255**2 / error), rel=1e-12)
    assert psnr(image, reference) == psnr(reference, image)


def test_equal_images_have_an_infinite_one() -> None:
    image = np.full((4, 4, 3), 9, np.uint8)
    assert psnr(image, image.copy()) == math.inf


def test_an_error_gives_decibels() -> None:
    assert decibels(1.0) == pytest.approx(48.1308, abs=1e-4)
    assert decibels(0.01, peak=1) == pytest.approx(20)
    assert decibels(0) == math.inf


def test_a_large_image_needs_no_large_temporary_array() -> None:
    image = np.zeros((4000, 2000, 3), np.uint8)
    reference = np.ones_like(image)
    tracemalloc.start()
    try:
        psnr(image, reference)
        assert tracemalloc.get_traced_memory()[1] < image.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        (np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8)),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.float32)),
        (np.zeros((0, 2), np.uint8), np.zeros((0, 2), np.uint8)),
    ],
)
def test_arrays_that_cannot_be_compared(image: np.ndarray, reference: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="two uint8 arrays of one shape"):
        psnr(image, reference)
