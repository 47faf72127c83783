"""The network that finds a caption's words in an image; it is the encoder's own, and the decoder never sees it.

A convolutional network gives each 16x16 pixels of a small copy of the image a vector in the space of the words'; what a
position has to do with the caption is its likeness to each word, the words weighted by how much they say.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.text.tokens import TextTokens

STRIDE = 16  # pixels of the small copy between positions


class Block(nn.Module):
    """A residual block: depthwise 3x3, then a pair of 1x1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.shrink = nn.Conv2d(2 * width, width, 1, bias=False)
        self.norm_out = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, H, W] for [B, C, H, W]."""
        y = F.relu(self.expand(self.norm(self.depthwise(x))))
        return x + self.norm_out(self.shrink(y))  # type: ignore[no-any-return]


class Grounding(nn.Module):
    """The network.

    Args:
        widths: Channels at 1/4, 1/8 and 1/16.
        depths: Blocks at 1/4, 1/8 and 1/16.
        text_width: Width of the tokens.
        shared: Dimensions of the space in which positions and words are compared.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (48, 96, 192),
        depths: tuple[int, int, int] = (1, 3, 5),
        text_width: int = 256,
        shared: int = 192,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU()]
        before = 32
        for width, depth in zip(widths, depths, strict=True):
            layers += [
                nn.Conv2d(before, width, 2, stride=2),
                nn.BatchNorm2d(width),
                *(Block(width) for _ in range(depth)),
            ]
            before = width
        self.features = nn.Sequential(*layers)
        self.context = nn.Linear(before, before)
        self.image_proj: nn.Module = nn.Conv2d(before, shared, 1)
        self.text_proj = nn.Linear(text_width, shared)
        self.salience = nn.Linear(text_width, 1)
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.shift = nn.Parameter(torch.tensor(-1.0))

    def positions(self, x: Tensor) -> Tensor:
        """Return unit vectors of the positions [B, shared, h/16, w/16] of x [B, 3, h, w] in [0, 1].

        Each knows a little about the whole image.
        """
        return self.compared(self.features(2 * x - 1))

    def compared(self, features: Tensor) -> Tensor:
        """Return unit vectors, as `positions` does, for features [B, C, h, w]."""
        features = features + self.context(features.mean(dim=(2, 3)))[:, :, None, None]
        return F.normalize(self.image_proj(F.relu(features)), dim=1)

    def words(self, tokens: TextTokens) -> tuple[Tensor, Tensor]:
        """Return unit vectors [B, T, shared] of the words, and how much each says [B, T], which adds up to 1."""
        embeddings = tokens.embeddings.float()
        vectors = F.normalize(self.text_proj(embeddings), dim=2)
        salience = self.salience(embeddings)[:, :, 0] + tokens.weights.float().log()
        salience = salience.masked_fill(~tokens.mask, float("-inf")).softmax(dim=1)
        return vectors, salience.masked_fill(~tokens.mask, 0.0)

    def forward(self, x: Tensor, tokens: TextTokens) -> Tensor:
        """Return the logits of each position being what the caption names [B, h/16, w/16].

        Args:
            x: [B, 3, h, w] in [0, 1]; h and w are multiples of 16.
            tokens: Of B captions.
        """
        vectors, salience = self.words(tokens)
        query = (vectors * salience[:, :, None]).sum(dim=1)
        return self.scale * torch.einsum("bchw,bc->bhw", self.positions(x), query) + self.shift
