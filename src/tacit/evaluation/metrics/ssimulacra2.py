"""SSIMULACRA 2, a model of visible differences by the authors of JPEG XL."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any

import numpy as np

from tacit.errors import MissingExtra
from tacit.evaluation.metrics.metric import ImageMetricBase
from tacit.evaluation.metrics.ppm import ppm_file


class Ssimulacra2(ImageMetricBase):
    """SSIMULACRA 2 by the package of that name.

    100 means equal images; at 90 a difference is hardly visible; 70 is high quality, 50 medium, and 30 low.
    """

    name = "ssimulacra2"
    higher_is_better = True
    smallest = 8  # of the coarsest scale

    def __init__(self) -> None:
        try:
            self._library: Any = importlib.import_module("ssimulacra2")
        except ImportError as error:
            raise MissingExtra("ssimulacra2 needs the package ssimulacra2: pip install 'tacit[eval]'") from error
        self.protocol = f"SSIMULACRA 2.1 by the package ssimulacra2 {metadata.version('ssimulacra2')}"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the score: at most 100, and below 0 for very strong distortion."""
        self.check(reference, decoded)
        return float(self._library.compute_ssimulacra2(ppm_file(reference), ppm_file(decoded)))
