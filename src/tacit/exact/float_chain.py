"""A frozen chain through which gradients pass: the same integers, with the gradient of the sums that are rounded.

It runs in float32 with the ordinary layers. Where a sum is larger than float32 holds exactly, an integer may be one
off; so what is coded must not depend on it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.exact.layers import FrozenChain, LayerSpec


class FloatChain(nn.Module):
    """The differentiable view of a frozen chain.

    It takes and returns what the chain does, planes [B, C, h, w] or rows [B, P, C], counted in the same units.

    Args:
        chain: The frozen chain, which is only read.
    """

    def __init__(self, chain: FrozenChain) -> None:
        super().__init__()
        self.specs = chain.specs
        self.limits: Tensor | None
        self.register_buffer("limits", None if chain.limits is None else chain.limits.float())
        stored = chain.integers()
        for i in range(len(chain.layers)):
            scale = torch.exp2(-stored[f"{i}.shift"].double())
            values = {
                "weight": stored[f"{i}.weight"] * scale,
                "bias": stored[f"{i}.bias"] * scale,
                "low": stored[f"{i}.low"],
                "high": stored[f"{i}.high"],
            }
            for name, value in values.items():
                self.register_buffer(f"{name}{i}", value.float())

    def forward(self, x: Tensor) -> Tensor:
        """Compute all layers, on planes or rows."""
        planes = x.ndim == 4
        if self.limits is not None:
            limits = self.limits[:, None, None] if planes else self.limits
            x = x.clamp(-limits, limits)
        i = 0
        for spec in self.specs:
            if spec.kind == "shuffle":
                x = F.pixel_shuffle(x, 2)
                continue
            weight, bias, low, high = (self.get_buffer(f"{name}{i}") for name in ("weight", "bias", "low", "high"))
            if planes:
                x = _convolution(x, spec, weight, bias)
                low, high = low[:, None, None], high[:, None, None]
            else:
                x = F.linear(x, weight.T, bias)
            x = (x + (x.round() - x).detach()).clamp(low, high)
            i += 1
        return x


def _convolution(x: Tensor, spec: LayerSpec, weight: Tensor, bias: Tensor) -> Tensor:
    k = spec.kernel
    if spec.kind == "point":
        return F.conv2d(x, weight.T[:, :, None, None], bias)
    if spec.kind == "depthwise":
        return F.conv2d(x, weight.T.unflatten(1, (1, k, k)), bias, padding=spec.padding, groups=x.shape[1])
    taps = weight.unflatten(0, (k, k))  # [k, k, I, O]
    if spec.kind == "dense":
        return F.conv2d(x, taps.permute(3, 2, 0, 1), bias, padding=spec.padding)
    return F.conv_transpose2d(x, taps.permute(2, 3, 0, 1), bias, stride=2, padding=spec.padding, output_padding=1)
