"""Structural dissimilarity as a loss: what blurring costs where there is little contrast, which MSE hardly sees."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of MS-SSIM's scales, finest first
SMALLEST = 10 * 2 ** (len(SCALES) - 1) + 1
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def structure(x: Tensor, y: Tensor) -> Tensor:
    """Of images [B, 3, H, W] in [0, 1], their dissimilarity [B, h, w], 0 where they are alike; its mean is 1 - MS-SSIM
    to first order, sums standing for MS-SSIM's product, so that parts of an image can weigh differently.

    The map has an eighth of the image's size or so; H and W are at least `SMALLEST`.
    Source: Wang, Simoncelli and Bovik, 2003.
    """
    total: Tensor | None = None
    x, y = x.float(), y.float()
    for scale, weight in enumerate(SCALES):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        luminance, contrast = _compare(x, y)
        last = scale == len(SCALES) - 1
        unlike = weight * (1 - (luminance * contrast if last else contrast)).mean(dim=1)
        size = (x.shape[2] * 2**scale // 8, x.shape[3] * 2**scale // 8)
        unlike = F.adaptive_avg_pool2d(unlike, size) if scale < 3 else F.interpolate(unlike[:, None], size)[:, 0]
        total = unlike if total is None else total + unlike
    assert total is not None
    return total


def _compare(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both [B, 3, h, w]: the luminance's similarity, and that of contrast and structure."""
    mean_x, mean_y, squares, both = _blur(torch.cat([x, y, x * x + y * y, x * y])).chunk(4)
    product, means = mean_x * mean_y, mean_x.square() + mean_y.square()
    contrast = (2 * (both - product) + _C2) / ((squares - means).clamp_min(0) + _C2)
    return (2 * product + _C1) / (means + _C1), contrast


def _blur(x: Tensor) -> Tensor:
    """[..., H, W] -> [..., H - 10, W - 10]: Gaussian, as products with banded matrices: gradients of depthwise
    convolutions take thirty times as long on a CPU."""
    return _band(x.shape[-2], x.device) @ x @ _band(x.shape[-1], x.device).T


def _band(size: int, device: torch.device) -> Tensor:
    """[size - 10, size]: each row the window, one further."""
    at = torch.arange(_WINDOW, device=device) - _WINDOW // 2
    window = torch.exp(-at.float().square() / (2 * _SIGMA**2))
    rows = torch.arange(size - _WINDOW + 1, device=device)[:, None]
    band = torch.zeros(size - _WINDOW + 1, size, device=device)
    return band.scatter_(1, rows + torch.arange(_WINDOW, device=device), (window / window.sum()).expand(len(rows), -1))
