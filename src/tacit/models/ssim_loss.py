"""Structural dissimilarity as a loss: it counts what blurring costs where there is little contrast, unlike the MSE."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of MS-SSIM's scales, finest first
SMALLEST = 10 * 2 ** (len(SCALES) - 1) + 1  # pixels a side that the coarsest scale's window needs
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def structural_dissimilarity(x: Tensor, y: Tensor) -> Tensor:
    """Return a map of the dissimilarity of images, which is 0 where they are alike.

    Its mean is 1 - MS-SSIM to first order. A sum over the scales stands for MS-SSIM's product, so that parts of an
    image can have different weights. Source: Wang, Simoncelli and Bovik, 2003.

    Args:
        x: [B, 3, H, W] in [0, 1]; H and W are at least `SMALLEST`.
        y: The other images, of the same shape.

    Returns:
        [B, h, w], where h and w are about an eighth of H and W.
    """
    total: Tensor | None = None
    x, y = x.float(), y.float()
    for scale, weight in enumerate(SCALES):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        luminance, contrast = _similarity(x, y)
        last = scale == len(SCALES) - 1
        unlike = weight * (1 - (luminance * contrast if last else contrast)).mean(dim=1)
        size = (x.shape[2] * 2**scale // 8, x.shape[3] * 2**scale // 8)
        unlike = F.adaptive_avg_pool2d(unlike, size) if scale < 3 else F.interpolate(unlike[:, None], size)[:, 0]
        total = unlike if total is None else total + unlike
    assert total is not None
    return total


def _similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return maps [B, 3, h, w] of the similarity in luminance, and of that in contrast and structure."""
    mean_x, mean_y, squares, both = _blur(torch.cat([x, y, x * x + y * y, x * y])).chunk(4)
    product, means = mean_x * mean_y, mean_x.square() + mean_y.square()
    contrast = (2 * (both - product) + _C2) / ((squares - means).clamp_min(0) + _C2)
    return (2 * product + _C1) / (means + _C1), contrast


def _blur(x: Tensor) -> Tensor:
    """Return x [..., H, W] under a Gaussian window, [..., H - 10, W - 10].

    The window is a product with banded matrices, because gradients of depthwise convolutions take thirty times as long
    on a CPU.
    """
    return _band(x.shape[-2], x.device) @ x @ _band(x.shape[-1], x.device).T


def _band(size: int, device: torch.device) -> Tensor:
    """Return a matrix [size - 10, size] whose rows are the window, each one column further to the right."""
    at = torch.arange(_WINDOW, device=device) - _WINDOW // 2
    window = torch.exp(-at.float().square() / (2 * _SIGMA**2))
    rows = torch.arange(size - _WINDOW + 1, device=device)[:, None]
    band = torch.zeros(size - _WINDOW + 1, size, device=device)
    return band.scatter_(1, rows + torch.arange(_WINDOW, device=device), (window / window.sum()).expand(len(rows), -1))
