"""The small synthesis: a reduced image from the first groups of latents, for thumbnails.

Most of an image's latents say what is seen at its full size alone, and most of a decoder's time goes into layers that
paint it. An image at a half, a quarter or an eighth of the size follows from the first groups, by a convolution of 3x3
positions and little more. It is fitted to what the full synthesis gives (scripts/fit_small_synthesis.py); the model
itself and its files stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from tacit.entropy.units import LATENT_STEP
from tacit.models.layers import GatedBlock, QualityAffine, QualityScale


@dataclass(frozen=True, kw_only=True)
class SmallSynthesisConfig:
    """Sizes of a small synthesis, which its file holds."""

    groups: int = 3
    """How many groups of the coding order it takes."""
    channels: int = 64
    """Channels of y in these groups."""
    width: int = 96
    """Channels of its layers."""
    blocks: int = 1
    """Gated blocks behind the convolution."""
    knots: int = 9
    """Qualities between which gains, scales and shifts are interpolated, as in the model."""
    factors: tuple[int, ...] = (2, 4, 8)
    """How much smaller than the image the reduced images are."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


class SmallSynthesis(nn.Module):
    """Makes reduced images of the first groups of latents.

    Gains and an affine layer by the quality, a 3x3 convolution, gated blocks, and a 1x1 head for each factor.
    """

    def __init__(self, config: SmallSynthesisConfig) -> None:
        super().__init__()
        self.config = c = config
        self.inverse_gain = QualityScale(c.channels, c.knots)
        self.affine = QualityAffine(c.channels, c.knots)
        self.gather = nn.Conv2d(c.channels, c.width, 3)
        self.blocks = nn.ModuleList([GatedBlock(c.width) for _ in range(c.blocks)])
        self.heads = nn.ModuleDict({str(f): nn.Conv2d(c.width, 3 * (LATENT_STEP // f) ** 2, 1) for f in c.factors})

    def features(self, y: Tensor, quality: Tensor) -> Tensor:
        """Return what the convolution takes, with a border of one repeated position: [B, c, h + 2, w + 2].

        Args:
            y: The first channels of y in steps, before the inverse gain [B, c, h, w].
            quality: [B] in 0..100, or a map [B, h, w].
        """
        x = self.affine(y * self.inverse_gain(quality), quality)
        return F.pad(x, (1, 1, 1, 1), mode="replicate")

    def forward(self, y: Tensor, quality: Tensor, factors: Sequence[int] | None = None) -> dict[int, Tensor]:
        """Return a reduced image for each factor: [B, 3, 16 h / factor, 16 w / factor], about [0, 1] and not clamped.

        Args:
            y: As for `features`.
            quality: As for `features`.
            factors: Those that are wanted; None for all.
        """
        x = self.gather(self.features(y, quality))
        for block in self.blocks:
            x = block(x)
        wanted = self.config.factors if factors is None else factors
        return {f: F.pixel_shuffle(self.heads[str(f)](x), LATENT_STEP // f).add(1).div(2) for f in wanted}
