"""The factorised prior of the hyper-latents z: a learned density for each channel.

Source: Balle et al., ICLR 2018 (1802.01436), appendix 6.1; names and filter sizes as in CompressAI, so that published
weights load.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LIKELIHOOD_FLOOR = 1e-9  # bounds the bits of a symbol, and their gradient


class FactorizedPrior(nn.Module):
    """A monotone network for each channel, which gives the cumulative density; its filters are (3, 3, 3, 3)."""

    def __init__(self, channels: int, init_scale: float = 10.0) -> None:
        super().__init__()
        sizes = (1, 3, 3, 3, 3, 1)
        scale = init_scale ** (1 / (len(sizes) - 1))
        self.channels = channels
        self.matrices = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.factors = nn.ParameterList()
        for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            start = math.log(math.expm1(1 / scale / fan_out))
            self.matrices.append(nn.Parameter(torch.full((channels, fan_out, fan_in), start)))
            self.biases.append(nn.Parameter(torch.empty(channels, fan_out, 1).uniform_(-0.5, 0.5)))
            if i < len(sizes) - 2:
                self.factors.append(nn.Parameter(torch.zeros(channels, fan_out, 1)))
        self.quantiles = nn.Parameter(torch.tensor([-init_scale, 0.0, init_scale]).repeat(channels, 1, 1))

    @property
    def medians(self) -> Tensor:
        """The values about which z is rounded [C]."""
        return self.quantiles[:, 0, 1].detach()

    def logits(self, values: Tensor, *, learn: bool = True) -> Tensor:
        """Return cumulative logits of values [C, 1, n], of the same shape.

        Args:
            values: [C, 1, n].
            learn: Whether gradients reach the density.
        """
        x = values
        matrices, biases, factors = (
            [p if learn else p.detach() for p in several] for several in (self.matrices, self.biases, self.factors)
        )
        for i, (matrix, bias) in enumerate(zip(matrices, biases, strict=True)):
            x = F.softplus(matrix) @ x + bias
            if i < len(factors):
                x = x + torch.tanh(factors[i]) * torch.tanh(x)
        return x

    def likelihood(self, z: Tensor) -> Tensor:
        """Return the probability of the unit interval around each value of z [B, C, H, W], of the same shape."""
        values = z.transpose(0, 1).reshape(self.channels, 1, -1)
        lower, upper = self.logits(values - 0.5), self.logits(values + 0.5)
        sign = torch.where(lower + upper > 0, -1.0, 1.0)  # subtract in the tail where the difference is exact
        mass = (torch.sigmoid(sign * upper) - torch.sigmoid(sign * lower)).abs()
        batch, _, height, width = z.shape
        return mass.clamp_min(LIKELIHOOD_FLOOR).reshape(self.channels, batch, height, width).transpose(0, 1)
