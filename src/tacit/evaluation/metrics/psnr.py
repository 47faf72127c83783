"""PSNR, of RGB and of the luma alone."""

from __future__ import annotations

import numpy as np

from tacit.evaluation.metrics.metric import ImageMetricBase
from tacit.image.psnr import decibels, psnr

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601 on the full range, JPEG's Y


class Psnr(ImageMetricBase):
    """The PSNR of all three channels together."""

    name = "psnr"
    unit = "dB"
    higher_is_better = True
    protocol = "mean squared error over R, G and B together, of 8-bit values"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the PSNR in dB, infinite for equal images."""
        self.check(reference, decoded)
        return psnr(decoded, reference)


class PsnrY(ImageMetricBase):
    """The PSNR of the luma alone."""

    name = "psnr-y"
    unit = "dB"
    higher_is_better = True
    protocol = "mean squared error of BT.601 luma on the full range (JPEG's Y), peak 255, not rounded"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the PSNR in dB, infinite for equal images."""
        self.check(reference, decoded)
        # Luma is linear: the luma of the difference is the difference of the lumas.
        difference = (decoded.astype(np.int32) - reference) @ np.array(LUMA)
        return decibels(float(np.square(difference).mean()))
