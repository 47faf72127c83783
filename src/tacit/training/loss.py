"""The rate-distortion loss: bpp + lambda * 255^2 * MSE, with lambda drawn per image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tacit.models.model import Forward

WEIGHT_LOW, WEIGHT_HIGH = 0.0009, 0.07  # lambda at quality 0 and 100


def rate_weight(quality: Tensor) -> Tensor:
    """Lambda at a quality 0..100: log-linear, so that equal steps of quality are equal steps of log lambda."""
    return torch.exp(math.log(WEIGHT_LOW) + quality / 100 * math.log(WEIGHT_HIGH / WEIGHT_LOW))


def rate_distortion(out: Forward, x: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Loss [B], bits per pixel [B] and MSE [B] of images x [B, 3, H, W] in [0, 1]."""
    pixels = x.shape[2] * x.shape[3]
    bpp = (out.y_bits + out.z_bits) / pixels
    mse = (out.x_hat - x).square().mean(dim=(1, 2, 3))
    return bpp + rate_weight(quality) * 255**2 * mse, bpp, mse
