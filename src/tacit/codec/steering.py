"""Steering: what a caption names gets better, at the cost of what it does not name.

A finder says where in the image the named things are (`tacit.finding`); the quality of the file's cells follows its
map. The decoder reads the qualities from the file and knows nothing of words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tacit.container import CELL, cells

if TYPE_CHECKING:  # a decoder never finds
    from tacit.finding import Found
    from tacit.finding.maps import Map

COVER = 0.5  # the part of a cell from which on what is named has the whole cell


def steering(found: Found, width: int, height: int, strength: float) -> np.ndarray | None:
    """Return what is added to the quality of each cell: [ceil(H / 64), ceil(W / 64)], whole numbers, on average 0.

    Args:
        found: What was found in the image.
        width: The image's width in pixels.
        height: The image's height in pixels.
        strength: Steps of quality between what the caption names and what it does not.

    Returns:
        The offsets; None if nothing is found, or all of them are zero.
    """
    if not found.found:
        return None
    steps = offsets(relevance(found.map, width, height), strength)
    return steps if steps.any() else None


def relevance(values: Map, width: int, height: int, cover: float = COVER) -> np.ndarray:
    """Return how much each cell of 64x64 pixels has to do with what is named: [ceil(H / 64), ceil(W / 64)] in 0..1.

    Args:
        values: How likely each place of the image shows it, 0 to 1 [h, w].
        width: The image's width in pixels.
        height: The image's height in pixels.
        cover: The part of a cell from which on it has the whole cell; a smaller part counts in proportion.
    """
    rows, columns = cells(width, height)
    down = _shares(values.shape[0], rows, height)
    across = _shares(values.shape[1], columns, width)
    # a share adds up to 1 within the rounding of floats
    covered: np.ndarray = np.clip(down @ values @ across.T / cover, 0, 1)
    return covered


def offsets(relevances: np.ndarray, strength: float) -> np.ndarray:
    """Return what is added to the quality of each cell where its relevance is known: whole numbers, on average 0.

    Args:
        relevances: The relevance of each cell, 0..1.
        strength: Steps of quality between relevance 0 and 1.
    """
    steps: np.ndarray = np.rint(strength * (relevances - relevances.mean())).clip(-100, 100)
    return steps


def _shares(places: int, count: int, pixels: int) -> np.ndarray:
    """Return what part of each of `count` cells lies in each place: [count, places]; each cell's parts add up to 1.

    Args:
        places: Places along a side of the map.
        count: Cells along the same side; the border may cut the last one.
        pixels: The side's length.
    """
    edges = np.minimum(np.arange(count + 1) * CELL, pixels) * places / pixels
    at = np.arange(places)
    low, high = edges[:-1, None], edges[1:, None]
    shares: np.ndarray = np.clip(np.minimum(high, at + 1) - np.maximum(low, at), 0, None) / (high - low)
    return shares
