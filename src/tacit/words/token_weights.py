"""Weights of words as weights of a text encoder's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tacit.text.caption_tokens import CaptionTokens
from tacit.words.weigher import Weigher, Word

if TYPE_CHECKING:
    from tacit.text.encoders import TextEncoder


def token_weights(words: Sequence[Word], offsets: Sequence[tuple[int, int]]) -> list[float]:
    """Return the weight of each token: that of its word, or of the heaviest of several words.

    Args:
        words: A caption's words in order, with their weights.
        offsets: Start and end character of each token, in order.

    Returns:
        A weight for each token; 1.0 for punctuation and for tokens that stand for no text.
    """
    weights = []
    first = 0
    for start, end in offsets:
        while first < len(words) and words[first].end <= start:
            first += 1
        weight, i = 1.0, first
        while i < len(words) and words[i].start < end:
            weight = max(weight, words[i].weight)
            i += 1
        weights.append(weight)
    return weights


def with_weights(
    tokens: CaptionTokens, encoder: TextEncoder, captions: Sequence[str | None], weigher: Weigher
) -> CaptionTokens:
    """Return tokens with the weights of their captions' words.

    Args:
        tokens: What the encoder made of the captions, [B, T, D].
        encoder: The encoder, which knows where its tokens stand.
        captions: B captions.
        weigher: Weighs the words.
    """
    weights = np.ones_like(tokens.weights)
    for row, mask, caption in zip(weights, tokens.mask, captions, strict=True):
        row[mask] = token_weights(weigher(caption), encoder.offsets(caption))
    return CaptionTokens(tokens.embeddings, tokens.mask, weights)
