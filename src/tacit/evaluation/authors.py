"""The protocol that TACO's authors published their figures by, beside ours, so that figures can be compared.

They decoded to floats and neither clamped nor rounded them, counted the entropy coder's bytes alone, and gave LPIPS
images in [0, 1] where it expects [-1, 1]. Only codecs that decode to floats can be measured so: tacit's models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np

from tacit import container
from tacit.evaluation.metrics.metric import Described, Metric


class _Described(Described):
    """The usual answers of a metric of single images."""

    level: ClassVar[Literal["image"]] = "image"


class AuthorsPsnr(_Described):
    """PSNR of floats."""

    name = "psnr-authors"
    unit = "dB"
    higher_is_better = True
    protocol = "as TACO's authors: mean squared error of floats, neither clamped nor rounded, peak 1"

    def __call__(self, reference: np.ndarray, unclamped: np.ndarray, file: Path) -> float:
        """reference: uint8 [H, W, 3]; unclamped: float32 [H, W, 3]; in dB, infinite if they are equal."""
        mse = float(np.square(reference / 255.0 - unclamped).mean())
        return -10 * math.log10(mse) if mse else math.inf


class AuthorsLpips(_Described):
    """LPIPS of floats in [0, 1]."""

    name = "lpips-alex-authors"
    protocol = "as TACO's authors: LPIPS 0.1 of AlexNet on floats in [0, 1], neither clamped nor rounded"

    def __init__(self) -> None:
        from tacit.pretrained.features import SMALLEST
        from tacit.pretrained.lpips import load_lpips

        self.smallest = SMALLEST["alex"]
        self._distance = load_lpips("alex", scale="taco")

    def __call__(self, reference: np.ndarray, unclamped: np.ndarray, file: Path) -> float:
        """reference: uint8 [H, W, 3]; unclamped: float32 [H, W, 3]; 0 is equality."""
        import torch

        with torch.inference_mode():
            x, y = (
                torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))[None]
                for image in (reference / 255.0, unclamped)
            )
            distance: float = self._distance(x, y).item()
        return distance


class AuthorsRate(_Described):
    """Bits that the entropy coder wrote."""

    name = "bpp-authors"
    unit = "bpp"
    protocol = "as TACO's authors: bits of the entropy coder's streams per pixel, without the rest of the file"

    def __call__(self, reference: np.ndarray, unclamped: np.ndarray, file: Path) -> float:
        """file: a `.tacit` file of `reference`."""
        regions = container.read(file.read_bytes()).regions
        return 8 * sum(len(region or b"") for region in regions) / float(reference.shape[0] * reference.shape[1])


AUTHORS: Mapping[str, Callable[[], Metric]] = MappingProxyType(
    {"psnr-authors": AuthorsPsnr, "lpips-alex-authors": AuthorsLpips, "bpp-authors": AuthorsRate}
)
"""By name."""


def load_authors_metric(name: str) -> Metric:
    """One of `AUTHORS`, called with (reference, unclamped picture, file).

    Raises: MissingWeights, where LPIPS's files are not on this machine.
    """
    return AUTHORS[name]()
