"""Structural similarity, by pytorch-msssim."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar, Literal

import numpy as np

from tacit.errors import MissingExtra
from tacit.evaluation.metrics.metric import Described

_WINDOW = 11
_SCALES = 5


class Ssim(Described):
    """Wang et al., 2004."""

    level: ClassVar[Literal["image"]] = "image"
    name = "ssim"
    higher_is_better = True
    smallest = _WINDOW
    protocol = "Gaussian window 11, sigma 1.5, inside the image only; mean over R, G and B; pytorch-msssim, float64"

    def __init__(self) -> None:
        self._library = _library(self.name)

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """At most 1, which is equality."""
        self.check(reference, decoded)
        return float(self._library.ssim(_batch(decoded), _batch(reference), data_range=255, win=_window()))


class MsSsim(Described):
    """Wang et al., 2003."""

    level: ClassVar[Literal["image"]] = "image"
    name = "ms-ssim"
    higher_is_better = True
    # Four halvings must leave one window.
    smallest = (_WINDOW - 1) * 2 ** (_SCALES - 1) + 1
    protocol = "five scales, Gaussian window 11, sigma 1.5; mean over R, G and B; pytorch-msssim, float64"

    def __init__(self) -> None:
        self._library = _library(self.name)

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """0 to 1, which is equality."""
        self.check(reference, decoded)
        return float(self._library.ms_ssim(_batch(decoded), _batch(reference), data_range=255, win=_window()))


def _library(name: str) -> Any:
    try:
        return importlib.import_module("pytorch_msssim")
    except ImportError as error:
        raise MissingExtra(f"{name} needs pytorch-msssim: pip install 'tacit[eval]'") from error


def _batch(image: np.ndarray) -> Any:
    """[H, W, 3] uint8 -> [1, 3, H, W] float64: variances are differences of large numbers."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(torch.float64)[None]


def _window() -> Any:
    """[3, 1, 1, 11]: the library's own is of float32, which is seen in the fifth decimal."""
    import torch

    offsets = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * 1.5**2))
    return (window / window.sum()).expand(3, 1, 1, _WINDOW)
