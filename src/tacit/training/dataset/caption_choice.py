"""Which of an image's captions a sample has: one of several, or all of them as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def joined(captions: Sequence[str]) -> str:
    """Several captions of one photo as one long one, each a sentence."""
    sentences = (c.strip() for c in captions)
    return " ".join(c if c[-1] in ".!?" else f"{c}." for c in sentences if c)


def texts(captions: Iterable[Sequence[str]], join: bool) -> list[str]:
    """Every caption that training may read of photos with these captions, once each."""
    if join:
        return list(dict.fromkeys(joined(c) for c in captions if c))
    return list(dict.fromkeys(text for several in captions for text in several))


def draw(captions: Sequence[str], rng: np.random.Generator, join: bool) -> str | None:
    """One photo's caption for one sample."""
    if not captions:
        return None
    return joined(captions) if join else captions[int(rng.integers(len(captions)))]
