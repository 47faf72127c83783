"""Analysis and synthesis of `tacit-s`: blocks at 1/8 and 1/16 around a linear 16x16 patch transform.

Pixels are unshuffled into channels, so the blocks run at 1/8 and 1/16 scale only. With the blocks at identity (their
initial state) analysis and synthesis are one linear transform of 16x16 patches and its transpose, into which the
patches' principal components are written before training (see `tacit.training.klt`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.models.attention import Extractor, Injector
from tacit.models.float_model import Transform
from tacit.models.layers import GatedBlock, QualityAffine
from tacit.text.tokens import TextTokens

PIXELS8 = 3 * 8 * 8
PIXELS16 = 3 * 16 * 16


class Analysis(Transform):
    """x [B, 3, H, W] in [0, 1], H and W multiples of 16, and tokens -> y [B, M, H/16, W/16], before the gain.

    A learned null token stands beside every caption, so that no caption is a case like any other. slots: as in
    `tacit.models.attention`.
    """

    def __init__(self, latent: int, blocks8: int, blocks16: int, text_width: int, heads: int, slots: int = 0) -> None:
        super().__init__()
        self.null_token = nn.Parameter(torch.zeros(1, 1, text_width))
        self.blocks8 = nn.ModuleList([GatedBlock(PIXELS8) for _ in range(blocks8)])
        self.project = nn.Conv2d(PIXELS16, latent, 1)
        self.blocks16 = nn.ModuleList([GatedBlock(latent) for _ in range(blocks16)])
        self.inject8 = Injector(PIXELS8, text_width, heads, slots=slots)
        self.extract16 = Extractor(latent, text_width, heads, slots=slots)
        self.inject16 = Injector(latent, text_width, heads, slots=slots)

    @property
    def reach(self) -> int:
        """Pixels beyond a tile that its latents depend on (the Extractor apart, which sees the tile)."""
        return 8 * len(self.blocks8) + 16 * len(self.blocks16)

    def forward(self, x: Tensor, tokens: TextTokens) -> Tensor:
        batch = x.shape[0]
        tokens = TextTokens(
            torch.cat([self.null_token.expand(batch, -1, -1), tokens.embeddings], dim=1),
            F.pad(tokens.mask, (1, 0), value=True),
            F.pad(tokens.weights, (1, 0), value=1.0),
        )
        y: Tensor = F.pixel_unshuffle(2 * x - 1, 8).contiguous(memory_format=torch.channels_last)
        middle = len(self.blocks8) // 2
        for block in self.blocks8[:middle]:
            y = block(y)
        y = self.inject8(y, tokens)
        for block in self.blocks8[middle:]:
            y = block(y)
        y = self.project(F.pixel_unshuffle(y, 2).contiguous(memory_format=torch.channels_last))
        middle = len(self.blocks16) // 2
        for block in self.blocks16[:middle]:
            y = block(y)
        y = self.inject16(y, self.extract16(y, tokens))
        for block in self.blocks16[middle:]:
            y = block(y)
        return y


class Synthesis(Transform):
    """y [B, M, h, w], after the inverse gain, and quality [B] or [B, h, w] -> x [B, 3, 16 h, 16 w], about [0, 1], not
    clamped."""

    def __init__(self, latent: int, blocks8: int, blocks16: int, knots: int) -> None:
        super().__init__()
        self.affine16 = QualityAffine(latent, knots)
        self.blocks16 = nn.ModuleList([GatedBlock(latent) for _ in range(blocks16)])
        self.project = nn.Conv2d(latent, PIXELS16, 1)
        self.affine8 = QualityAffine(PIXELS8, knots, 2)
        self.blocks8 = nn.ModuleList([GatedBlock(PIXELS8) for _ in range(blocks8)])

    @property
    def reach(self) -> int:
        """Latents beyond a tile that its pixels depend on."""
        return len(self.blocks16) + -(-len(self.blocks8) // 2)

    def forward(self, y: Tensor, quality: Tensor) -> Tensor:
        x = self.affine16(y, quality)
        for block in self.blocks16:
            x = block(x.float())
        x = self.project(x.to(self.project.weight.dtype))
        x = F.pixel_shuffle(x, 2).contiguous(memory_format=torch.channels_last)
        x = self.affine8(x, quality)
        for block in self.blocks8:
            x = block(x.float())
        return F.pixel_shuffle(x, 8).float().add_(1).div_(2)
