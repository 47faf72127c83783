"""Cross-attention between pixels and words: the Injector and the Extractor of TACO.

Source: TACO, ICML 2024, arXiv 2403.02944. The published network keeps the *normed* signal as its residual and attends
to padding; both are options here, because its weights depend on them. Our own models keep the input and mask padding.

`slots` is 0 for full attention; otherwise the keys are pooled to so many (`tacit.models.linear_attention`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.models.linear_attention import PixelProjection, WordProjection
from tacit.text.tokens import TextTokens


class CrossAttention(nn.Module):
    """Multi-head attention with queries from one sequence, and keys and values from another."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the {width} channels, got {heads}")
        self.heads = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            queries: [B, N, C].
            keys: What is attended to [B, T, C]: keys and values both.
            bias: What is added to every logit of a key [B, T]: minus infinity hides the key, log w weighs it.

        Returns:
            [B, N, C].
        """
        # [3, heads, C / heads, C], [3, heads, C / heads] and [C, heads, C / heads]
        into, offset = (t.unflatten(0, (3, self.heads, -1)) for t in (self.in_proj.weight, self.in_proj.bias))
        out_of, mask = self.out_proj.weight.unflatten(1, (self.heads, -1)), None
        scale = into.shape[2] ** -0.5
        learned = bias is not None and bias.requires_grad
        if learned:
            # torch's fused kernel has no gradient for a mask, and would give way to one that holds all logits. So the
            # bias becomes one more channel of the keys, where the queries have a one and the values nothing.
            one = offset.new_tensor([1.0, 0.0, 0.0])[:, None, None].expand(-1, self.heads, -1)
            into, offset, out_of = F.pad(into, (0, 0, 0, 1)), torch.cat([offset, one], dim=2), F.pad(out_of, (0, 1))
        elif bias is not None:
            mask = bias[:, None, None, :].to(queries.dtype)

        def split(t: Tensor) -> Tensor:  # [B, n, C] -> [B, heads, n, C / heads]
            return t.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # type: ignore[no-any-return]

        q = split(F.linear(queries, into[0].flatten(0, 1), offset[0].flatten()))
        k, v = map(split, F.linear(keys, into[1:].flatten(0, 2), offset[1:].flatten()).chunk(2, dim=-1))
        if learned:
            channel = (bias / scale)[:, None, :, None].to(k.dtype)
            k = k + F.pad(channel, (k.shape[-1] - 1, 0))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
        # [B, heads, n, C / heads] -> [B, n, C]
        return F.linear(out.transpose(1, 2).flatten(2), out_of.flatten(1), self.out_proj.bias)


def to_rows(x: Tensor) -> Tensor:
    """Return planes [B, C, H, W] as rows [B, H * W, C]."""
    return x.flatten(2).transpose(1, 2)


def to_planes(rows: Tensor, like: Tensor) -> Tensor:
    """Return rows [B, H * W, C] as planes [B, C, H, W], with the height and width of `like`."""
    return rows.transpose(1, 2).unflatten(2, like.shape[2:])  # type: ignore[no-any-return]


def key_bias(tokens: TextTokens) -> Tensor:
    """Return what is added to the logits of tokens [B, T]: log w for real ones, minus infinity for padding."""
    return tokens.weights.log().masked_fill(~tokens.mask, float("-inf"))


class Injector(nn.Module):
    """Pixels attend to words; the result is added with a factor for each channel that starts at zero."""

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
        """Return the features [B, C, H, W] with what they draw from the words.

        Args:
            x: [B, C, H, W].
            tokens: Embeddings [B, T, D].
        """
        words = self.text_norm(self.text_proj(tokens.embeddings))
        rows = to_rows(x)
        normed = self.image_norm(rows)
        bias = None if self.published else key_bias(tokens)
        if self.projection is not None:
            words, bias = self.projection(words, bias)
        attended = self.gamma * self.attention(normed, words, bias)
        return to_planes((normed if self.published else rows) + attended, x)


class Extractor(nn.Module):
    """Words attend to pixels, so that the words of the next Injector know the image."""

    def __init__(self, width: int, text_width: int, heads: int, *, published: bool = False, slots: int = 0) -> None:
        super().__init__()
        self.published = published
        self.image_proj = nn.Linear(width, text_width)
        self.image_norm = nn.LayerNorm(text_width)
        self.text_norm = nn.LayerNorm(text_width)
        self.attention = CrossAttention(text_width, heads)
        self.projection = PixelProjection(slots) if slots else None

    def forward(self, x: Tensor, tokens: TextTokens) -> TextTokens:
        """Return the tokens with what they draw from the pixels; shape, mask and weights stay.

        Args:
            x: [B, C, H, W].
            tokens: Embeddings [B, T, D].
        """
        pixels = self.image_norm(self.image_proj(to_rows(x)))
        words = self.text_norm(tokens.embeddings)
        bias = None
        if self.projection is not None:
            pixels, bias = self.projection(pixels, x.shape[2], x.shape[3])
        attended = self.attention(words, pixels, bias)
        out = (words if self.published else tokens.embeddings) + attended
        return TextTokens(out, tokens.mask, tokens.weights)
