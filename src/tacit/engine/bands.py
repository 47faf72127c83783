"""Bands of rows, which networks of a few rows' reach work on at once, each in a thread of its own.

With a band in each thread, threads wait for each other once a step. ONNX Runtime's own threads do so in each layer, and
layers of the entropy networks take a fraction of a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_ROWS = 8  # of a band: less brings nothing


@dataclass(frozen=True, kw_only=True)
class Band:
    """Rows of y whose values are predicted apart from the others."""

    rows: slice
    """The rows that the networks see: those of the band, and what they reach beyond."""

    anchors: np.ndarray
    """The band's anchors, as row-major indices into these rows."""

    others: np.ndarray
    """The band's other positions."""

    anchors_span: slice
    """The part of all anchors."""

    others_span: slice
    """The part of all others."""


def checkerboard(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the anchors, where row + column is odd, and those of the others, row by row."""
    odd = (np.arange(height)[:, None] + np.arange(width)) % 2 == 1
    return np.flatnonzero(odd), np.flatnonzero(~odd)


def cut(height: int, width: int, reach: int, most: int) -> list[Band]:
    """Return the bands of y, from the top to the bottom.

    Args:
        height: Of y.
        width: Of y.
        reach: How many rows around a position the networks see.
        most: How many bands there may be.
    """
    count = max(1, min(most, height // LEAST_ROWS))
    anchors, others = checkerboard(height, width)
    bands = []
    for number in range(count):
        top, bottom = (height * edge // count for edge in (number, number + 1))
        rows = slice(max(0, top - reach), min(height, bottom + reach))
        spans = [slice(*np.searchsorted(of, [top * width, bottom * width]).tolist()) for of in (anchors, others)]
        own = [of[span] - rows.start * width for of, span in zip((anchors, others), spans, strict=True)]
        bands.append(Band(rows=rows, anchors=own[0], others=own[1], anchors_span=spans[0], others_span=spans[1]))
    return bands
