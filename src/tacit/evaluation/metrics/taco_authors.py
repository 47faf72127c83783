"""Metrics by the protocol that TACO's authors published their figures by, so that figures can be compared.

They decoded to floats and neither clamped nor rounded them, counted the entropy coder's bytes alone, and fed LPIPS
images in [0, 1] where it expects [-1, 1]. Only codecs that decode to floats can be measured so: tacit's models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from tacit import container
from tacit.evaluation.metrics.metric import ImageMetricBase, Metric
from tacit.image.psnr import decibels


class UnclampedMetric(Metric, Protocol):
    """A metric of an image that was decoded to floats."""

    def __call__(self, reference: np.ndarray, unclamped: np.ndarray, file: Path) -> float:
        """Return the metric's value.

        Args:
            reference: The original, [H, W, 3] uint8.
            unclamped: The decoded image, [H, W, 3] float32, about 0 to 1, neither clamped nor rounded.
            file: The `.tacit` file.
        """


class AuthorsPsnr(ImageMetricBase):
    """PSNR of floats."""

    name = "psnr-authors"
    unit = "dB"
    higher_is_better = True
    protocol = "as TACO's authors: mean squared error of floats, neither clamped nor rounded, peak 1"

    def __call__(self, reference: np.ndarray, unclamped: np.ndarray, file: Path) -> float:
        """Return the PSNR in dB, infinite for equal images."""
        return decibels(float(np.square(reference / 255.0 - unclamped).mean()), peak=1)


class AuthorsLpips(ImageMetricBase):
    """LPIPS of floats in [0, 1]."""

    name = "lpips-alex-authors"
    protocol = "as TACO's authors: LPIPS 0.1 of AlexNet on floats in [0, 1], neither clamped nor rounded"

    def __init__(self) -> None:
        from tacit.pretrained.features import SMALLEST
        from tacit.pretrained.lpips import load_lpips

        self.smallest = SMALLEST["alex"]
        self._distance = load_lpips("alex", scale="taco")

    def __call__(self, reference: np.ndarray, unclamped: np.ndarray, file: Path) -> float:
        """Return the distance, 0 for equal images."""
        import torch

        with torch.inference_mode():
            x, y = (
                torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))[None]
                for image in (reference / 255.0, unclamped)
            )
            distance: float = self._distance(x, y).item()
        return distance


class AuthorsRate(ImageMetricBase):
    """The bits that the entropy coder wrote."""

    name = "bpp-authors"
    unit = "bpp"
    protocol = "as TACO's authors: bits of the entropy coder's streams per pixel, without the rest of the file"

    def __call__(self, reference: np.ndarray, unclamped: np.ndarray, file: Path) -> float:
        """Return the bits per pixel of the entropy coder's streams."""
        regions = container.read(file.read_bytes()).regions
        return 8 * sum(len(region or b"") for region in regions) / float(reference.shape[0] * reference.shape[1])


UNCLAMPED_METRICS: Mapping[str, Callable[[], UnclampedMetric]] = MappingProxyType(
    {"psnr-authors": AuthorsPsnr, "lpips-alex-authors": AuthorsLpips, "bpp-authors": AuthorsRate}
)
"""By name, what makes the metric."""


def load_unclamped_metric(name: str) -> UnclampedMetric:
    """Return one of `UNCLAMPED_METRICS`, ready to be used.

    Raises:
        MissingWeights: LPIPS's files are not on this machine.
    """
    return UNCLAMPED_METRICS[name]()
