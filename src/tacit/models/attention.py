"""Cross-attention between pixels and words: the Injector and the Extractor of TACO.

Source: TACO, ICML 2024, arXiv 2403.02944. The published network keeps the *normed* signal as its residual and attends
to padding; both are options here, because its weights depend on them. Our own models keep the input and mask.

slots: 0 for full attention; otherwise the keys are pooled to so many (`tacit.models.linear`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.models.linear import PixelProjection, WordProjection
from tacit.text.tokens import TextTokens


class CrossAttention(nn.Module):
    """Multi-head attention; queries [B, N, C] over keys and values [B, T, C].

    `bias` [B, T] is added to every logit of a key: minus infinity hides it, log w weighs it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{width} channels cannot be split over {heads} heads")
        self.heads = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, bias: Tensor | None = None) -> Tensor:
        batch, count, width = queries.shape
        weight, offset = self.in_proj.weight, self.in_proj.bias
        q = F.linear(queries, weight[:width], offset[:width])
        k, v = F.linear(keys, weight[width:], offset[width:]).chunk(2, dim=-1)

        def split(t: Tensor) -> Tensor:  # [B, n, C] -> [B, heads, n, C / heads]
            return t.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # type: ignore[no-any-return]

        mask = None if bias is None else bias[:, None, None, :].to(q.dtype)
        out = F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=mask)
        return self.out_proj(out.transpose(1, 2).reshape(batch, count, width))  # type: ignore[no-any-return]


def to_rows(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H * W, C]."""
    return x.flatten(2).transpose(1, 2)


def to_planes(rows: Tensor, like: Tensor) -> Tensor:
    """[B, H * W, C] -> [B, C, H, W], with the height and width of `like`."""
    return rows.transpose(1, 2).unflatten(2, like.shape[2:])  # type: ignore[no-any-return]


def key_bias(tokens: TextTokens) -> Tensor:
    """log w for real tokens, minus infinity for padding: [B, T]."""
    return tokens.weights.log().masked_fill(~tokens.mask, float("-inf"))


class Injector(nn.Module):
    """Pixels attend to words; the result is added through a per-channel gamma that starts at zero.

    x: [B, C, H, W]; tokens: embeddings [B, T, D]. Returns [B, C, H, W].
    """

    def __init__(self, width: int, text_width: int, heads: int, *, published: bool = False, slots: int = 0) -> None:
        super().__init__()
        self.published = published
        self.gamma = nn.Parameter(torch.zeros(width))
        self.text_proj = nn.Linear(text_width, width)
        self.text_norm = nn.LayerNorm(width)
        self.image_norm = nn.LayerNorm(width)
        self.attention = CrossAttention(width, heads)
        self.projection = WordProjection(slots) if slots else None

    def forward(self, x: Tensor, tokens: TextTokens) -> Tensor:
        words = self.text_norm(self.text_proj(tokens.embeddings))
        rows = to_rows(x)
        normed = self.image_norm(rows)
        bias = None if self.published else key_bias(tokens)
        if self.projection is not None:
            words, bias = self.projection(words, bias)
        attended = self.gamma * self.attention(normed, words, bias)
        return to_planes((normed if self.published else rows) + attended, x)


class Extractor(nn.Module):
    """Words attend to pixels, so that the next Injector's words know the picture.

    x: [B, C, H, W]; tokens: embeddings [B, T, D]. Returns tokens of the same shape, mask and weights.
    """

    def __init__(self, width: int, text_width: int, heads: int, *, published: bool = False, slots: int = 0) -> None:
        super().__init__()
        self.published = published
        self.image_proj = nn.Linear(width, text_width)
        self.image_norm = nn.LayerNorm(text_width)
        self.text_norm = nn.LayerNorm(text_width)
        self.attention = CrossAttention(text_width, heads)
        self.projection = PixelProjection(slots) if slots else None

    def forward(self, x: Tensor, tokens: TextTokens) -> TextTokens:
        pixels = self.image_norm(self.image_proj(to_rows(x)))
        words = self.text_norm(tokens.embeddings)
        bias = None
        if self.projection is not None:
            pixels, bias = self.projection(pixels, x.shape[2], x.shape[3])
        attended = self.attention(words, pixels, bias)
        out = (words if self.published else tokens.embeddings) + attended
        return TextTokens(out, tokens.mask, tokens.weights)
