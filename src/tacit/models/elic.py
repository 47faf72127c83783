"""Building blocks of ELIC's transforms, as the published TACO uses them.

Source: ELIC, CVPR 2022, section 3.3; the attention block is Cheng et al.'s (CVPR 2020) in CompressAI's form. Parameter
names follow the published state dict, so that importing it renames little. Sums and ReLUs work in place: at half the
image's size a copy of the features costs as much as a 1x1 convolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def downsample(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a 5x5 convolution that halves height and width."""
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


def upsample(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Return a transposed 5x5 convolution that doubles height and width."""
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


def _squeeze(width: int) -> nn.Sequential:
    """Return 1x1 to half the width, 3x3, 1x1 back; it sees one position around its own."""
    half = width // 2
    return nn.Sequential(
        nn.Conv2d(width, half, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, half, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, width, 1),
    )


class Bottleneck(nn.Module):
    """A residual block, x + branch(x), with nothing after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = _squeeze(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, H, W] for [B, C, H, W]."""
        return self.branch(x).add_(x)  # type: ignore[no-any-return]


class AttentionUnit(nn.Module):
    """A residual block with a ReLU after the sum, ReLU(x + conv(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _squeeze(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, H, W] for [B, C, H, W]."""
        return self.conv(x).add_(x).relu_()  # type: ignore[no-any-return]


class AttentionBlock(nn.Module):
    """A gated residual block, x + a * sigmoid(b): b says where the correction a counts.

    It sees three positions around its own.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_a = nn.Sequential(*(AttentionUnit(width) for _ in range(3)))
        self.conv_b = nn.Sequential(*(AttentionUnit(width) for _ in range(3)), nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, H, W] for [B, C, H, W]."""
        return x + self.conv_a(x) * torch.sigmoid(self.conv_b(x))  # type: ignore[no-any-return]
