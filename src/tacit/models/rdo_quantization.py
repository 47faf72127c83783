"""The frozen entropy model as a refinement sees it: latents are rounded where bits and distortion together are least.

Every choice of an integer is made where the coding order comes to it, with the mean and the scale that the decoder will
have there; bits and latents have gradients with respect to what comes later.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from tacit.entropy.units import Y_UNIT, Z_UNIT
from tacit.exact.arithmetic import DOUBLE
from tacit.exact.float_chain import FloatChain
from tacit.models.attention import to_rows
from tacit.models.coding_order import EntropyNets, Step, walk
from tacit.models.frozen import FrozenEntropy
from tacit.models.quantization import gaussian_likelihood, round_through


class RdoEntropy(nn.Module):
    """Differentiable views of a frozen entropy model's networks, by which latents are rounded and priced.

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
        self._medians_apart = entropy.arithmetic is DOUBLE
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
        self, targets: Tensor, moved: Tensor, z: Tensor, quality: int | Tensor, curvature: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return latents as they are decoded, and their bits.

        Args:
            targets: What y had best be decoded to, in steps [B, M, h, w].
            moved: Zeros [B, M, h, w]. Their gradient is what a change of a decoded latent does to all but its own bits.
            z: In steps [B, Z, hz, wz]. Its gradient is that of values that are not rounded.
            quality: In hundredths, one or one for each hyper-latent [B, hz, wz].
            curvature: Bits times two that the distortion costs one step beside the target. Latents become the integer,
                beside their mean, that costs the least; with 0 they become the nearest one.

        Returns:
            y in steps [B, M, h, w], and the bits of each image [B].
        """
        symbols_of_z = round_through(z - self.medians / Z_UNIT)
        bits = [self._z_bits(symbols_of_z)]
        # in float32 the medians are in the first layer's bias
        hyper = symbols_of_z * Z_UNIT + self.medians if self._medians_apart else symbols_of_z
        if self.plane:
            plane = torch.as_tensor(quality - 5000, dtype=z.dtype, device=z.device)
            plane = plane[:, None] if plane.ndim else plane.expand(z.shape[0], 1, *z.shape[2:])
            hyper = torch.cat([hyper, plane], dim=1)
        features: Tensor = self.hyper_synthesis(hyper)
        wanted, changes = to_rows(targets), to_rows(moved)

        def visit(step: Step, parameters: Tensor) -> Tensor:
            indices, means = parameters.chunk(2, dim=-1)
            means = means / Y_UNIT
            at = (slice(None), step.positions, slice(step.start, step.stop))
            scales = (self._scale_start + self._scale_step * indices).exp()
            with torch.no_grad():
                coded = indices >= self.skip
                symbols = _least(wanted[at] - means, scales, curvature) * coded
                slope = (gaussian_bits(symbols + 1, scales) - gaussian_bits(symbols - 1, scales)) / 2
            # A mean that moves leaves the decoded value where it is, and changes what the value costs.
            price = gaussian_bits(symbols, scales) - slope * (means - means.detach())
            bits.append((price * coded).sum(dim=(1, 2)))
            return torch.where(coded, symbols + means.detach() + changes[at], means) * Y_UNIT

        decoded = walk(cast(EntropyNets, self), features[:, :, : targets.shape[2], : targets.shape[3]], visit)
        return decoded / Y_UNIT, torch.stack(bits).sum(dim=0)

    def _z_bits(self, symbols: Tensor) -> Tensor:
        """Return the bits of hyper-latents [B], linear between neighbouring integers."""
        part = symbols.transpose(0, 1).flatten(1)
        low = part.detach().floor().clamp(self._z_low, self._z_low + self.z_prices.shape[1] - 2)
        place = (low - self._z_low).long()
        below, above = self.z_prices.gather(1, place), self.z_prices.gather(1, place + 1)
        bits: Tensor = (below + (part - low) * (above - below)).unflatten(1, (len(symbols), -1)).sum(dim=(0, 2))
        return bits


def _least(residuals: Tensor, scales: Tensor, curvature: float) -> Tensor:
    """Return each residual's nearest integer, or the one before it towards zero where that costs less."""
    near = residuals.round()
    if curvature == 0:
        return near
    nearer_zero = near - near.sign()
    costs = [curvature / 2 * (one - residuals).square() + gaussian_bits(one, scales) for one in (near, nearer_zero)]
    return torch.where(costs[1] < costs[0], nearer_zero, near)


def gaussian_bits(symbols: Tensor, scales: Tensor) -> Tensor:
    """Return the bits of integers under normal distributions."""
    return -gaussian_likelihood(symbols, scales).log2()
