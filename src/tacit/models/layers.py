"""Building blocks of the transforms. They get ready-made sizes and never see a configuration."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Glu(torch.autograd.Function):
    """F.glu over the channels, [B, 2 C, H, W] -> [B, C, H, W], with a gradient that has the layout of x.

    The gradient of torch's own has another layout with channels last, and copying it is a tenth of a training step on a
    CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return F.glu(x, dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        value, gate = ctx.saved_tensors[0].chunk(2, dim=1)
        gate = gate.sigmoid()
        both = torch.empty_like(ctx.saved_tensors[0])
        of_value, of_gate = both.chunk(2, dim=1)
        of_value.copy_(grad * gate)
        of_gate.copy_(of_value * value * (1 - gate))
        return both


def _glu(x: Tensor) -> Tensor:
    """Return F.glu over the channels, by the kernel whose gradient is the fastest on the device."""
    return F.glu(x, dim=1) if x.is_cuda else _Glu.apply(x)  # type: ignore[no-untyped-call]


class GatedBlock(nn.Module):
    """A residual block for an ordinary CPU: 1x1, depthwise 3x3, 1x1; then a gated pair of 1x1.

    Both branches end in zeros, so a new block is the identity: a transform made of them can start as any linear
    transform that is written around them. A block takes about 5 C^2 multiplications per position.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix_in = nn.Conv2d(width, width, 1)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.mix_out = nn.Conv2d(width, width, 1)
        self.gate_in = nn.Conv2d(width, 2 * width, 1)
        self.gate_out = nn.Conv2d(width, width, 1)
        for last in (self.mix_out, self.gate_out):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, H, W] for [B, C, H, W]."""
        own = self.mix_in.weight.dtype  # sums have the type of x: in bf16 an image would be half a level off
        x = x + self.mix_out(self.depthwise(F.leaky_relu(self.mix_in(x.to(own)), 0.1, inplace=True)))
        gated = self.gate_out(_glu(self.gate_in(x.to(own))))
        # in place where it can be: a fresh tensor of this size costs more than the sum
        return x + gated if gated.requires_grad else x.add_(gated)


@functools.cache
def _compiled_block() -> Callable[[GatedBlock, Tensor], Tensor]:
    """Return the forward pass of a block, compiled once for all blocks of a shape."""
    return torch.compile(GatedBlock.forward, dynamic=False)


def compile_blocks(model: nn.Module) -> None:
    """Let torch compile the blocks of a model, each shape once, when they first run.

    The blocks are most of the model's time on a GPU, and all of what a compiler can fuse there; the rest of the model
    is left as it is, so that the compilation takes seconds.
    """
    for block in model.modules():
        if isinstance(block, GatedBlock):
            block.forward = MethodType(_compiled_block(), block)  # type: ignore[method-assign]


class QualityScale(nn.Module):
    """Gains of channels, interpolated over the quality.

    The logarithms of the gains stand at `knots` evenly spaced qualities; between them they are linear, so the gain is
    continuous. Source of the idea: Cui et al., CVPR 2021 (asymmetric gained deep image compression).
    """

    def __init__(self, channels: int, knots: int) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(knots, channels))

    def forward(self, quality: Tensor) -> Tensor:
        """Return the gains: [B, C, 1, 1] for a quality [B] in 0..100, [B, C, h, w] for a map [B, h, w]."""
        return interpolate(self.log_gain, quality).exp()


class QualityAffine(nn.Module):
    """Scale and shift of features, for each channel, interpolated over the quality; it starts as the identity.

    Args:
        channels: Of the features.
        knots: Evenly spaced qualities at which scale and shift stand.
        repeat: Each quality of a map stands for `repeat` x `repeat` positions of the features.
    """

    def __init__(self, channels: int, knots: int, repeat: int = 1) -> None:
        super().__init__()
        self.repeat = repeat
        self.scale = nn.Parameter(torch.zeros(knots, channels))
        self.shift = nn.Parameter(torch.zeros(knots, channels))

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """Return the features [B, C, H, W], scaled and shifted.

        Args:
            x: [B, C, H, W].
            quality: [B] in 0..100, or a map [B, H / repeat, W / repeat].
        """
        scale = spread(interpolate(self.scale, quality), self.repeat)
        shift = spread(interpolate(self.shift, quality), self.repeat)
        return torch.addcmul(x + shift.to(x.dtype), x, scale.to(x.dtype))


def pad_to_multiple(x: Tensor, multiple: int, *, zeros: bool = False) -> Tensor:
    """Extend x [B, C, H, W] at the right and the bottom until H and W are multiples.

    The last column and row are repeated, or zeros are added.
    """
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="constant" if zeros else "replicate")


class _Interpolation(torch.autograd.Function):
    """Rows of a table, interpolated; the gradient of the table is a product with hat functions.

    That of indexing adds thousands of rows into a few, one after the other: on a GPU, a quarter of a training step.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, quality: Tensor) -> Tensor:
        last = table.shape[0] - 1
        position = quality.clamp(0, 100) * (last / 100)
        low = position.floor().clamp(max=last - 1)
        part = (position - low)[..., None]
        index = low.long()
        ctx.save_for_backward(position)
        ctx.knots = table.shape[0]
        return table[index] * (1 - part) + table[index + 1] * part

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (grad,) = grads
        (position,) = ctx.saved_tensors
        knots = torch.arange(ctx.knots, device=position.device)
        hats = (1 - (position.flatten() - knots[:, None]).abs()).clamp_min(0)  # [K, positions]
        with torch.autocast(grad.device.type, enabled=False):
            return hats.to(grad.dtype) @ grad.reshape(-1, grad.shape[-1]), None


def interpolate(table: Tensor, quality: Tensor) -> Tensor:
    """Interpolate rows of a table over the quality.

    Args:
        table: Values at evenly spaced qualities from 0 to 100 [K, C].
        quality: [B] or a map [B, h, w], in 0..100; it gets no gradient.

    Returns:
        [B, C, 1, 1] or [B, C, h, w].
    """
    values: Tensor = _Interpolation.apply(table, quality)  # type: ignore[no-untyped-call]
    return values[:, :, None, None] if quality.ndim == 1 else values.movedim(-1, 1)


def spread(x: Tensor, repeat: int) -> Tensor:
    """Repeat each position `repeat` x `repeat` times: [B, C, h, w] -> [B, C, repeat h, repeat w].

    A single position is left alone, to be broadcast.
    """
    if repeat == 1 or x.shape[2:] == (1, 1):
        return x
    return x.repeat_interleave(repeat, dim=2).repeat_interleave(repeat, dim=3)
