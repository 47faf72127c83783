"""Qualities that vary over an image while training, so that files can spend their bits where the encoder wants them."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.models.quantization import uniform

CELL = 64  # pixels of a hyper-latent, over which the quality is constant
POSITIONS = 4  # latents across a cell
_CELLS, _AMOUNT, _SHARE = 101, 102, 103  # streams of noise beside those of the latents


def random_quality_maps(quality: Tensor, seeds: Tensor | None, size: int, share: float, spread: float) -> Tensor:
    """Return maps of qualities, of which a share varies over the image.

    In a map that varies, each cell is above or below the image's quality by the same amount, up to `spread`.

    Args:
        quality: The images' qualities [B], 0 to 100.
        seeds: The seed of each map [B] int64; without them torch's own generator draws the maps.
        size: Height and width of the images in pixels; a multiple of 64.
        share: The share of the maps that vary, 0 to 1.
        spread: The most by which a cell is above or below.

    Returns:
        [B, size / 16, size / 16], 0 to 100.
    """
    cells = size // CELL
    side = uniform(quality.new_zeros(len(quality), cells, cells), seeds, _CELLS).sign()
    amount = (uniform(quality[:, None], seeds, _AMOUNT) + 0.5) * spread
    chosen = uniform(quality[:, None], seeds, _SHARE) + 0.5 < share
    offsets = side * torch.where(chosen, amount, torch.zeros_like(amount))[:, :, None]
    cellwise = (quality[:, None, None] + offsets).clamp(0, 100)
    return cellwise.repeat_interleave(POSITIONS, dim=1).repeat_interleave(POSITIONS, dim=2)
