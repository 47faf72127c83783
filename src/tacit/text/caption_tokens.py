"""What a text encoder makes of captions: embeddings, a mask and weights, as numpy arrays.

This is what crosses the borders between rooms. A model in torch takes `tacit.text.tokens.TextTokens`, the same as
tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class CaptionTokens:
    """A batch of captions as token embeddings.

    A caption without a token (no caption) is a row whose mask is all False.
    """

    embeddings: np.ndarray
    """[B, T, D] float32."""
    mask: np.ndarray
    """[B, T] bool, True for a real token."""
    weights: np.ndarray
    """[B, T] float32; 1.0 is neutral."""

    def __post_init__(self) -> None:
        shape = self.embeddings.shape[:2]
        if self.embeddings.ndim != 3 or self.mask.shape != shape or self.weights.shape != shape:
            shapes = ", ".join(str(list(array.shape)) for array in (self.embeddings, self.mask, self.weights))
            raise ValueError(f"embeddings, mask and weights must be [B, T, D], [B, T] and [B, T], got {shapes}")

    def __len__(self) -> int:
        return len(self.embeddings)

    @staticmethod
    def of(tokens: Any) -> CaptionTokens:
        """Return tokens as arrays, whatever arrays or tensors of the CPU they are."""
        if isinstance(tokens, CaptionTokens):
            return tokens
        return CaptionTokens(
            np.asarray(tokens.embeddings, dtype=np.float32),
            np.asarray(tokens.mask, dtype=np.bool_),
            np.asarray(tokens.weights, dtype=np.float32),
        )

    @staticmethod
    def empty(batch: int, width: int) -> CaptionTokens:
        """Return `batch` images without a caption, for an encoder of `width` channels; T is 1 and masked."""
        return CaptionTokens(
            np.zeros((batch, 1, width), np.float32), np.zeros((batch, 1), np.bool_), np.ones((batch, 1), np.float32)
        )

    @staticmethod
    def stack(captions: Sequence[CaptionTokens]) -> CaptionTokens:
        """Return captions of different lengths as one batch, padded at the end and masked."""
        length = max(caption.mask.shape[1] for caption in captions)

        def padded(array: np.ndarray, value: float) -> np.ndarray:
            missing = length - array.shape[1]
            return np.pad(array, [(0, 0), (0, missing)] + [(0, 0)] * (array.ndim - 2), constant_values=value)

        return CaptionTokens(
            np.concatenate([padded(c.embeddings, 0.0) for c in captions]),
            np.concatenate([padded(c.mask, False) for c in captions]),
            np.concatenate([padded(c.weights, 1.0) for c in captions]),
        )
