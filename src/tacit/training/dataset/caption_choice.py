"""Which of an image's captions a sample has: one of several, or all of them as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def join_captions(captions: Sequence[str]) -> str:
    """Return several captions of one image as one long caption, each of them a sentence."""
    sentences = (c.strip() for c in captions)
    return " ".join(c if c[-1] in ".!?" else f"{c}." for c in sentences if c)


def possible_captions(captions: Iterable[Sequence[str]], join: bool) -> list[str]:
    """Return every caption that training can read, once each.

    Args:
        captions: The captions of each image.
        join: Whether an image's captions are read as one.
    """
    if join:
        return list(dict.fromkeys(join_captions(c) for c in captions if c))
    return list(dict.fromkeys(text for several in captions for text in several))


def draw_caption(captions: Sequence[str], rng: np.random.Generator, join: bool) -> str | None:
    """Return the caption of one sample of an image, or None where the image has no captions.

    Args:
        captions: The image's captions.
        rng: The generator that draws one of several.
        join: Whether the captions are read as one.
    """
    if not captions:
        return None
    return join_captions(captions) if join else captions[int(rng.integers(len(captions)))]
