"""The interface of text encoders, and what their implementations share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tacit.errors import InvalidInput
from tacit.text.caption_tokens import CaptionTokens


class TextEncoder(Protocol):
    """Turns captions into token embeddings."""

    @property
    def name(self) -> str:
        """The name by which `load_encoder` makes this encoder again."""
        ...

    @property
    def width(self) -> int:
        """The number of channels D of the embeddings."""
        ...

    def __call__(self, captions: Sequence[str | None]) -> CaptionTokens:
        """Embed captions.

        Args:
            captions: One text for each image, or None for an image without a caption.

        Returns:
            [B, T, D] with T ≥ 1; a caption without a token is a row whose mask is all False.
        """
        ...

    def offsets(self, caption: str | None) -> list[tuple[int, int]]:
        """Return where each token stands in the caption: start and end character, in the order of the T axis.

        There are as many entries as the caption's mask has True values; (0, 0) is a token that stands for no text.
        """
        ...


def clean_text(caption: str | None) -> str:
    """Return a caption with lone surrogates, which are not text, replaced one for one, so that offsets stay true."""
    return re.sub("[\ud800-\udfff]", "\ufffd", caption or "")


def check_captions(captions: Sequence[str | None]) -> None:
    """Raise InvalidInput for what would otherwise fail far from here, such as one text in place of a list of one."""
    if isinstance(captions, str) or not len(captions):
        raise InvalidInput("captions must be a list with one caption (or None) for each image")
    for caption in captions:
        if not isinstance(caption, str | None):
            raise InvalidInput(f"a caption must be a text or None, got {type(caption).__name__}")


def pad_rows(rows: Sequence[np.ndarray], width: int) -> CaptionTokens:
    """Return captions' embeddings [T_i, D] as one batch; a caption without a token becomes a masked row."""
    length = max(1, *(len(row) for row in rows))
    embeddings = np.zeros((len(rows), length, width), np.float32)
    mask = np.zeros((len(rows), length), np.bool_)
    for i, row in enumerate(rows):
        embeddings[i, : len(row)] = row
        mask[i, : len(row)] = True
    return CaptionTokens(embeddings, mask, np.ones((len(rows), length), np.float32))
