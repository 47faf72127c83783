"""The peak signal-to-noise ratio of 8-bit pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tacit.errors import InvalidInput

PEAK = 255
STRIP = 1 << 20  # samples that are compared at a time


def psnr(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    """Return the PSNR of an image in dB, infinity where it equals the reference.

    The error is summed in integers, strip by strip, so that a large image needs no large temporary array, and the
    result does not depend on an order of summation.

    Args:
        image: uint8 samples; the first axis is that of the rows.
        reference: The original, of the same shape.

    Raises:
        InvalidInput: The arrays differ in shape, are empty, or are not uint8.
    """
    if image.shape != reference.shape or image.dtype != np.uint8 or reference.dtype != np.uint8 or not image.size:
        shapes = f"{image.dtype} {list(image.shape)} and {reference.dtype} {list(reference.shape)}"
        raise InvalidInput(f"the PSNR must be of two uint8 arrays of one shape, got {shapes}")
    rows = max(1, STRIP * image.shape[0] // image.size)
    error = 0
    for top in range(0, image.shape[0], rows):
        difference = image[top : top + rows].astype(np.int32) - reference[top : top + rows]
        error += int(np.square(difference).sum(dtype=np.int64))
    return decibels(error / image.size)


def decibels(mean_squared_error: float, peak: float = PEAK) -> float:
    """Return the PSNR in dB of a mean squared error, infinity for an error of 0.

    Args:
        mean_squared_error: The mean over all samples, in the unit of `peak` squared.
        peak: The largest possible value of a sample.
    """
    return 10 * math.log10(peak**2 / mean_squared_error) if mean_squared_error else math.inf
