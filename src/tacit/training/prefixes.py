"""Samples of which only the beginning is decoded while training, so that the beginning of a file makes an image."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.models.quantization import uniform

_COUNT, _SHARE = 104, 105  # streams of noise beside those of the latents and of the quality maps


def random_prefixes(quality: Tensor, seeds: Tensor | None, groups: int, share: float) -> Tensor:
    """Return how many steps of the coding order count as decoded in each image [B] int64.

    An image that is decoded in part has one step or more, and lacks the last group or more.

    Args:
        quality: The images' qualities [B] or maps of these, which give device and batch.
        seeds: The seed of each image [B] int64; without them torch's own generator draws.
        groups: Groups of the coding order, of two steps each.
        share: The share of the images that are decoded in part, 0 to 1.
    """
    like = quality.new_zeros(len(quality), 1)
    steps = 2 * groups
    some = 1 + ((uniform(like, seeds, _COUNT) + 0.5) * (steps - 2)).long().clamp_max(steps - 3)
    in_part = uniform(like, seeds, _SHARE) + 0.5 < share
    return torch.where(in_part, some, torch.full_like(some, steps))[:, 0]
