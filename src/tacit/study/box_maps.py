"""Quality maps of boxes, as steering makes them where it is known what the words name."""

from __future__ import annotations

import numpy as np

from tacit.codec.steering import offsets
from tacit.container import CELL, cells
from tacit.study.config import BoxMapConfig
from tacit.study.named_regions import Box


def box_map(box: Box, width: int, height: int, form: BoxMapConfig) -> np.ndarray:
    """Return what is added to the quality of each cell of an image: [ceil(H / 64), ceil(W / 64)], whole numbers.

    Args:
        box: The part of the image that is to be better.
        width: The image's width in pixels.
        height: The image's height in pixels.
        form: How the box becomes a map.
    """
    relevances = np.minimum(1, box_shares(box, width, height, form.edge) / form.cover)
    steps: np.ndarray = np.maximum(-form.fall, offsets(relevances, form.steps))
    return steps


def box_shares(box: Box, width: int, height: int, edge: float = 0) -> np.ndarray:
    """Return the share of each cell, [ceil(H / 64), ceil(W / 64)] in 0..1, that a box covers.

    Args:
        box: The box.
        width: The image's width in pixels.
        height: The image's height in pixels.
        edge: Over how many pixels around the box a pixel's share falls from 1 to 0.
    """
    left, top, right, bottom = box
    x, y = np.arange(width), np.arange(height)
    across = np.maximum(0, np.maximum(left - x, x - (right - 1)))
    down = np.maximum(0, np.maximum(top - y, y - (bottom - 1)))
    distances = np.hypot(down[:, None], across[None])
    pixels = np.clip(1 - distances / edge, 0, 1) if edge else (distances == 0).astype(float)
    rows, columns = cells(width, height)
    # a cell that the border cuts has fewer pixels
    sums = np.add.reduceat(np.add.reduceat(pixels, np.arange(rows) * CELL, axis=0), np.arange(columns) * CELL, axis=1)
    heights = np.minimum(CELL, height - np.arange(rows) * CELL)
    widths = np.minimum(CELL, width - np.arange(columns) * CELL)
    shares: np.ndarray = sums / np.outer(heights, widths)
    return shares
