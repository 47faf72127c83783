"""What the models see of a caption: embeddings, a mask and weights, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.text.caption_tokens import CaptionTokens


@dataclass(frozen=True)
class TextTokens:
    """A batch of captions as token embeddings.

    A caption without a token (no caption) is a row whose mask is all False.
    """

    embeddings: Tensor
    """[B, T, D] float."""
    mask: Tensor
    """[B, T] bool, True for a real token."""
    weights: Tensor
    """[B, T] float; 1.0 is neutral."""

    def __post_init__(self) -> None:
        shape = self.embeddings.shape[:2]
        if self.embeddings.ndim != 3 or self.mask.shape != shape or self.weights.shape != shape:
            shapes = ", ".join(str(list(tensor.shape)) for tensor in (self.embeddings, self.mask, self.weights))
            raise ValueError(f"embeddings, mask and weights must be [B, T, D], [B, T] and [B, T], got {shapes}")

    def __len__(self) -> int:
        return self.embeddings.shape[0]

    def to(self, device: torch.device | str) -> TextTokens:
        """Return the same tokens on a device."""
        return TextTokens(self.embeddings.to(device), self.mask.to(device), self.weights.to(device))

    def expand(self, batch: int) -> TextTokens:
        """Return one caption repeated for `batch` images."""
        return TextTokens(
            self.embeddings.expand(batch, -1, -1), self.mask.expand(batch, -1), self.weights.expand(batch, -1)
        )

    @staticmethod
    def of(tokens: CaptionTokens) -> TextTokens:
        """Return a text encoder's arrays as tensors."""
        return TextTokens(*(torch.from_numpy(a) for a in (tokens.embeddings, tokens.mask, tokens.weights)))

    @staticmethod
    def empty(batch: int, width: int) -> TextTokens:
        """Return `batch` images without a caption, for an encoder of `width` channels; T is 1 and masked."""
        return TextTokens(torch.zeros(batch, 1, width), torch.zeros(batch, 1, dtype=torch.bool), torch.ones(batch, 1))

    @staticmethod
    def stack(captions: Sequence[TextTokens]) -> TextTokens:
        """Return captions of different lengths as one batch, padded at the end and masked."""
        length = max(c.embeddings.shape[1] for c in captions)

        def pad(t: Tensor, value: float) -> Tensor:
            missing = length - t.shape[1]
            return torch.cat([t, t.new_full((t.shape[0], missing, *t.shape[2:]), value)], dim=1)

        return TextTokens(
            torch.cat([pad(c.embeddings, 0.0) for c in captions]),
            torch.cat([pad(c.mask, False) for c in captions]),
            torch.cat([pad(c.weights, 1.0) for c in captions]),
        )
