"""Quantisation while training: rounding, the uniform noise that stands for it, and likelihoods of what is coded.

The noise is each image's own. Drawn from a generator, it would depend on which images share a batch; hashed from the
image's seed and the position it is the same alone, in a batch, and on whichever of several processes the image is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tacit.models.prior import LIKELIHOOD_FLOOR

SCALE_LEVELS = 64  # tables of the latents, one for each scale

_WORD = 0xFFFFFFFF


class _LowerBound(torch.autograd.Function):
    """max(x, bound), whose gradient still passes where it would lift x off the bound."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        (grad,) = grads
        return grad * ((x >= ctx.bound) | (grad < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """Return max(x, bound), with a gradient that can lift x off the bound."""
    return _LowerBound.apply(x, bound)  # type: ignore[no-any-return,no-untyped-call]


def round_through(x: Tensor) -> Tensor:
    """Return x rounded, with the gradient of the identity."""
    return x + (x.round() - x).detach()


def gaussian_likelihood(residual: Tensor, scale: Tensor) -> Tensor:
    """Return the probability of the unit interval around `residual` under a zero-mean normal distribution."""
    size = residual.abs()
    inverse = math.sqrt(0.5) / scale
    upper = torch.erfc((size - 0.5) * inverse)
    lower = torch.erfc((size + 0.5) * inverse)
    return (0.5 * (upper - lower)).clamp_min(LIKELIHOOD_FLOOR)


def uniform(like: Tensor, seeds: Tensor | None, stream: int) -> Tensor:
    """Return noise in [-1/2, 1/2) of the shape of `like` [B, ...].

    Args:
        like: Gives shape and device.
        seeds: The seed of each image [B], int64; without them torch's own generator draws the noise.
        stream: Distinguishes the draws of one pass.
    """
    if seeds is None:
        return torch.rand_like(like) - 0.5
    offset = _spread(_spread(seeds & _WORD) + 0x9E3779B9 * (stream + 1))
    position = torch.arange(like[0].numel(), device=like.device)
    bits = _spread(_spread(position) + offset[:, None])
    return ((bits >> 8).float() * 2**-24 - 0.5).reshape(like.shape)


def mixed(noisy: Callable[[], Tensor], rounded: Callable[[], Tensor], share: float) -> Tensor:
    """Return the likelihood whose bits are (1 - share) those of noisy latents plus share those of rounded latents.

    Noise is smooth, but where most symbols are zero its bits are far above a file's; rounding has a file's bits, and a
    gradient only if it takes that of the identity.

    Args:
        noisy: Returns the likelihood of latents with noise; not called if share is 1.
        rounded: Returns the likelihood of rounded latents; not called if share is 0.
        share: 0..1.
    """
    if share == 0:
        return noisy()
    if share == 1:
        return rounded()
    return noisy() ** (1 - share) * rounded() ** share


def _spread(x: Tensor) -> Tensor:
    """Permute words of 32 bits (held in int64) such that every bit spreads. Multipliers: hash-prospector."""
    x = x & _WORD
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & _WORD
    x = ((x ^ (x >> 15)) * 0x735A2D97) & _WORD
    return x ^ (x >> 15)
