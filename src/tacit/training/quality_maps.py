"""Qualities that vary over an image while training, so that files may spend their bits where the encoder wants them."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.models.quantization import uniform

CELL = 64  # pixels of a hyper-latent: the quality is constant over it
POSITIONS = 4  # latents across a cell
_CELLS, _AMOUNT, _SHARE = 101, 102, 103  # streams of noise beside those of the latents


def vary(quality: Tensor, seeds: Tensor, size: int, share: float, spread: float) -> Tensor:
    """quality [B], of crops of `size` pixels -> maps of it [B, size / 16, size / 16].

    share: of the crops whose cells differ; in those each cell is by the same amount, up to `spread`, above or below.
    seeds [B]: of each sample, which say how.
    """
    cells = size // CELL
    side = uniform(quality.new_zeros(len(quality), cells, cells), seeds, _CELLS).sign()
    amount = (uniform(quality[:, None], seeds, _AMOUNT) + 0.5) * spread
    chosen = uniform(quality[:, None], seeds, _SHARE) + 0.5 < share
    offsets = side * torch.where(chosen, amount, torch.zeros_like(amount))[:, :, None]
    cellwise = (quality[:, None, None] + offsets).clamp(0, 100)
    return cellwise.repeat_interleave(POSITIONS, dim=1).repeat_interleave(POSITIONS, dim=2)
