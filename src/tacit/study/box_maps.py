"""Quality maps of boxes, as steering makes them where it is known what the words name."""

from __future__ import annotations

import numpy as np

from tacit.codec.steering import offsets, relevance
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
    relevances = relevance(box_pixels(box, width, height, form.edge), width, height, form.cover)
    steps: np.ndarray = np.maximum(-form.fall, offsets(relevances, form.steps))
    return steps


def box_pixels(box: Box, width: int, height: int, edge: float = 0) -> np.ndarray:
    """Return 1 for each pixel of a box and 0 for others, [H, W].

    Args:
        box: The box.
        width: The image's width in pixels.
        height: The image's height in pixels.
        edge: Over how many pixels around the box the values fall from 1 to 0.
    """
    left, top, right, bottom = box
    x, y = np.arange(width), np.arange(height)
    across = np.maximum(0, np.maximum(left - x, x - (right - 1)))
    down = np.maximum(0, np.maximum(top - y, y - (bottom - 1)))
    distances = np.hypot(down[:, None], across[None])
    return np.clip(1 - distances / edge, 0, 1) if edge else (distances == 0).astype(float)
