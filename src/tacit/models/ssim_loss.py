"""Structural dissimilarity as a loss: it counts what blurring costs where there is little contrast, unlike the MSE."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of MS-SSIM's scales, finest first
SMALLEST = 10 * 2 ** (len(SCALES) - 1) + 1  # pixels a side that the coarsest scale's window needs
_WINDOW, _SIGMA = 11, 1.5
_BEYOND = _WINDOW - 1  # what the window makes an image smaller by
_BLOCK = 32  # outputs of a block, which has the window's ten more inputs
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
    on a CPU. There, the products are of blocks around the diagonal: the rest of a matrix is zeros.
    """
    if x.is_cuda:
        return _band(x.shape[-2] - _BEYOND, x.device) @ x @ _band(x.shape[-1] - _BEYOND, x.device).T
    return _BlockedBlur.apply(x)  # type: ignore[no-any-return,no-untyped-call]


class _BlockedBlur(torch.autograd.Function):
    """The blur by blocks. The window is symmetric, so the gradient is the same blur, of the gradient within zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _blurred_blocks(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return _blurred_blocks(F.pad(grads[0], (_BEYOND,) * 4))


def _blurred_blocks(x: Tensor) -> Tensor:
    height, width = x.shape[-2] - _BEYOND, x.shape[-1] - _BEYOND
    band = _band(_BLOCK, x.device)
    lines = x.reshape(-1, x.shape[-1])
    across = lines.new_empty(len(lines), width)
    for start in range(0, width, _BLOCK):
        size = min(_BLOCK, width - start)
        across[:, start : start + size] = lines[:, start : start + size + _BEYOND] @ band[:size, : size + _BEYOND].T
    planes = across.reshape(-1, x.shape[-2], width)
    result = planes.new_empty(len(planes), height, width)
    for start in range(0, height, _BLOCK):
        size = min(_BLOCK, height - start)
        part = band[:size, : size + _BEYOND].expand(len(planes), -1, -1)
        result[:, start : start + size] = torch.bmm(part, planes[:, start : start + size + _BEYOND])
    return result.reshape(*x.shape[:-2], height, width)


def _band(size: int, device: torch.device) -> Tensor:
    """Return a matrix [size, size + 10] whose rows are the window, each one column further to the right."""
    at = torch.arange(_WINDOW, device=device) - _WINDOW // 2
    window = torch.exp(-at.float().square() / (2 * _SIGMA**2))
    rows = torch.arange(size, device=device)[:, None]
    band = torch.zeros(size, size + _BEYOND, device=device)
    return band.scatter_(1, rows + torch.arange(_WINDOW, device=device), (window / window.sum()).expand(size, -1))
