"""The frozen entropy model with its rounding relaxed, so that bits and latents have gradients with respect to y and z.

A value between two integers becomes a mixture of both, which hardens as the temperature falls; with noise, this is
stochastic Gumbel annealing. Source: Yang, Bamler and Mandt, NeurIPS 2020 (2006.04240).
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from tacit.entropy.units import Y_UNIT, Z_UNIT
from tacit.exact.float_chain import FloatChain
from tacit.models.attention import to_rows
from tacit.models.coding_order import EntropyNets, Step, walk
from tacit.models.frozen import FrozenEntropy
from tacit.models.quantization import gaussian_likelihood

_EDGE = 1e-4  # keeps the odds of values near integers finite

Noise = tuple[Tensor, Tensor]
"""Logistic noise for y [M, h, w] and for z [Z, hz, wz]."""


class RelaxedEntropy(nn.Module):
    """Differentiable views of a frozen entropy model's networks, and continuous prices of its symbols.

    Args:
        entropy: The frozen entropy model, whose scale outputs are indices of tables.
        scales: The scale of each of its tables of y, at equal steps of its logarithm.
    """

    def __init__(self, entropy: FrozenEntropy, scales: Tensor) -> None:
        super().__init__()
        self.groups, self.skip, self.plane = entropy.groups, entropy.skip, entropy.plane
        views = {name: FloatChain(chain) for name, chain in entropy.chains.items()}
        groups = range(len(self.groups))
        self.hyper_synthesis = views["hyper_synthesis"]
        self.channel_context = nn.ModuleList([views[f"channel_context.{i - 1}"] for i in groups[1:]])
        self.local_context = nn.ModuleList([views[f"local_context.{i}"] for i in groups])
        self.parameters_anchor = nn.ModuleList([views[f"parameters_anchor.{i}"] for i in groups])
        self.parameters_other = nn.ModuleList([views[f"parameters_other.{i}"] for i in groups])
        ends = scales[[0, -1]].log()
        self._scale_start, self._scale_step = float(ends[0]), float(ends[1] - ends[0]) / (len(scales) - 1)
        self.medians: Tensor
        self.register_buffer("medians", entropy.medians.float()[:, None, None])
        self.z_prices: Tensor  # [Z, symbols]
        tables = entropy.z_models.tables
        self._z_low = int(tables.lows.min()) - 1
        symbols = np.arange(self._z_low, int((tables.lows + tables.sizes).max()) + 1)
        shape = len(tables), len(symbols)
        prices = tables.bits(np.broadcast_to(np.arange(shape[0])[:, None], shape), np.broadcast_to(symbols, shape))
        self.register_buffer("z_prices", torch.from_numpy(prices).float())
        self.to(entropy.medians.device).eval()

    def forward(
        self, y: Tensor, z: Tensor, quality: int | Tensor, temperature: float, noise: Noise | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return latents as they are decoded, and their bits.

        Args:
            y: In steps [B, M, h, w].
            z: In steps [B, Z, hz, wz].
            quality: In hundredths, one or one for each hyper-latent [B, hz, wz].
            temperature: Of the rounding; 0 rounds to integers, which has no gradient.
            noise: The noise of every image; None for none.

        Returns:
            y in steps [B, M, h, w], and the bits of each image [B].
        """
        symbols = relaxed_round(z - self.medians / Z_UNIT, temperature, None if noise is None else noise[1])
        bits = [self._z_bits(symbols)]
        hyper = symbols * Z_UNIT + self.medians
        if self.plane:
            plane = torch.as_tensor(quality - 5000, dtype=z.dtype, device=z.device)
            plane = plane[:, None] if plane.ndim else plane.expand(z.shape[0], 1, *z.shape[2:])
            hyper = torch.cat([hyper, plane], dim=1)
        features: Tensor = self.hyper_synthesis(hyper)
        rows = to_rows(y)
        noise_rows = None if noise is None else to_rows(noise[0][None])

        def visit(step: Step, parameters: Tensor) -> Tensor:
            indices, means = parameters.chunk(2, dim=-1)
            coded = indices.detach() >= self.skip
            own = None if noise_rows is None else noise_rows[:, step.positions, step.start : step.stop]
            residual = rows[:, step.positions, step.start : step.stop] - means / Y_UNIT
            symbols = relaxed_round(residual, temperature, own) * coded
            scales = (self._scale_start + self._scale_step * indices).exp()
            bits.append((gaussian_bits(symbols, scales) * coded).sum(dim=(1, 2)))
            return symbols * Y_UNIT + means

        decoded = walk(cast(EntropyNets, self), features[:, :, : y.shape[2], : y.shape[3]], visit)
        return decoded / Y_UNIT, torch.stack(bits).sum(dim=0)

    def _z_bits(self, symbols: Tensor) -> Tensor:
        """Return the bits of hyper-latents [B], linear between neighbouring integers."""
        part = symbols.transpose(0, 1).flatten(1)
        low = part.detach().floor().clamp(self._z_low, self._z_low + self.z_prices.shape[1] - 2)
        place = (low - self._z_low).long()
        below, above = self.z_prices.gather(1, place), self.z_prices.gather(1, place + 1)
        bits: Tensor = (below + (part - low) * (above - below)).unflatten(1, (len(symbols), -1)).sum(dim=(0, 2))
        return bits


def relaxed_round(x: Tensor, temperature: float, noise: Tensor | None = None) -> Tensor:
    """Return x moved towards one of its two neighbouring integers; the lower the temperature, the nearer.

    Args:
        x: Of any shape.
        temperature: 0 rounds.
        noise: Logistic noise that is added to the logarithm of the two integers' odds; None for none.
    """
    if temperature == 0:
        return x.round()
    low: Tensor = x.detach().floor()
    part = (x - low).clamp(_EDGE, 1 - _EDGE)
    # the odds are exp((atanh(part) - atanh(1 - part)) / temperature)
    odds = torch.log(part * (1 + part) / ((1 - part) * (2 - part))) / (2 * temperature)
    moved: Tensor = low + torch.sigmoid((odds if noise is None else odds + noise) / temperature)
    return moved


def gaussian_bits(symbols: Tensor, scales: Tensor) -> Tensor:
    """Return the bits of symbols under normal distributions, linear between neighbouring integers."""
    low = symbols.detach().floor()
    below, above = (-gaussian_likelihood(one, scales).log2() for one in (low, low + 1))
    return below + (symbols - low) * (above - below)
