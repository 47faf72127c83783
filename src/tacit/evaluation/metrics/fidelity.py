"""Differences of pixels."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np

from tacit.errors import InvalidInput
from tacit.evaluation.metrics.metric import Described

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601 on the full range, JPEG's Y


def psnr(image: np.ndarray, original: np.ndarray) -> float:
    """In dB, of two arrays of one shape, uint8; infinite if they are equal."""
    if image.shape != original.shape or image.dtype != np.uint8 or original.dtype != np.uint8:
        raise InvalidInput(f"PSNR of {image.dtype} {image.shape} and {original.dtype} {original.shape}")
    difference = image.astype(np.int32) - original
    return _decibels(float(np.square(difference).mean()))


class Psnr(Described):
    """Of all three channels together."""

    level: ClassVar[Literal["image"]] = "image"
    name = "psnr"
    unit = "dB"
    higher_is_better = True
    protocol = "mean squared error over R, G and B together, of 8-bit values"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """In dB; infinite if they are equal."""
        self.check(reference, decoded)
        return psnr(decoded, reference)


class PsnrY(Described):
    """Of the luma alone."""

    level: ClassVar[Literal["image"]] = "image"
    name = "psnr-y"
    unit = "dB"
    higher_is_better = True
    protocol = "mean squared error of BT.601 luma on the full range (JPEG's Y), peak 255, not rounded"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """In dB; infinite if they are equal."""
        self.check(reference, decoded)
        # Luma is linear: the luma of the difference is the difference of the lumas.
        difference = (decoded.astype(np.int32) - reference) @ np.array(LUMA)
        return _decibels(float(np.square(difference).mean()))


def _decibels(mse: float) -> float:
    return 10 * math.log10(255**2 / mse) if mse else math.inf
