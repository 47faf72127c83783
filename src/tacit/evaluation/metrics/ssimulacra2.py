"""SSIMULACRA 2, a model of visible differences by the authors of JPEG XL."""

from __future__ import annotations

from importlib import metadata

import numpy as np

from tacit.evaluation.metrics.metric import ImageMetricBase
from tacit.image import ssimulacra2


class Ssimulacra2(ImageMetricBase):
    """SSIMULACRA 2 by the package of that name.

    100 means equal images; at 90 a difference is hardly visible; 70 is high quality, 50 medium, and 30 low.
    """

    name = "ssimulacra2"
    higher_is_better = True
    smallest = ssimulacra2.SMALLEST

    def __init__(self) -> None:
        ssimulacra2.library()
        self.protocol = f"SSIMULACRA 2.1 by the package ssimulacra2 {metadata.version('ssimulacra2')}"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the score: at most 100, and below 0 for very strong distortion."""
        self.check(reference, decoded)
        return ssimulacra2.ssimulacra2(decoded, reference)
