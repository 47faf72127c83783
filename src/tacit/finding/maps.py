"""Maps of an image's places: smoothing, connected pieces, and averages over cells."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Map: TypeAlias = NDArray[np.floating[Any]]
"""What a cue says of each place, [h, w]; also several values of each place, [h, w, channels]."""


def smoothed(values: Map, radius: int) -> Map:
    """Return a map blurred by two passes of a box, the border repeated: nearly a Gaussian of 0.8 times the radius.

    Args:
        values: [h, w] or [h, w, channels].
        radius: Places to each side.
    """
    for axis in (0, 1, 0, 1):
        values = _box(values, radius, axis)
    return values


def _box(values: Map, radius: int, axis: int) -> Map:
    width = 2 * radius + 1
    pads = [(0, 0)] * values.ndim
    pads[axis] = (radius + 1, radius)
    sums = np.cumsum(np.pad(values, pads, mode="edge"), axis=axis, dtype=np.float64)
    count = values.shape[axis]
    upper = np.take(sums, np.arange(width, width + count), axis=axis)
    lower = np.take(sums, np.arange(count), axis=axis)
    means: Map = ((upper - lower) / width).astype(np.float32)
    return means


def pieces(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the connected pieces of a mask, numbered from 1; 0 is what is not in it. Corners do not connect."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    parents = list(range(len(rows)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    first = np.searchsorted(rows, np.arange(height + 1)).tolist()
    start, end = starts.tolist(), ends.tolist()
    for row in range(1, height):
        above, below = first[row - 1], first[row]
        while above < first[row] and below < first[row + 1]:
            if start[above] < end[below] and start[below] < end[above]:
                a, b = root(above), root(below)
                parents[max(a, b)] = min(a, b)
            if end[above] < end[below]:
                above += 1
            else:
                below += 1
    roots = np.array([root(run) for run in range(len(parents))], np.int32)
    numbers = np.unique(roots, return_inverse=True)[1] + 1 if len(roots) else roots
    labels = np.zeros((height, width), np.int32)
    for row, a, b, number in zip(rows.tolist(), start, end, numbers.tolist(), strict=True):
        labels[row, a:b] = number
    return labels


def box_mask(shape: tuple[int, int], box: tuple[float, float, float, float], soft: float = 0.06) -> Map:
    """Return a box as a map with soft edges.

    Args:
        shape: Rows and columns of the map.
        box: Left, top, right and bottom, in shares of the image.
        soft: Width of the edges, in shares of the box's sides.
    """
    sides = []
    for count, low, high in ((shape[0], box[1], box[3]), (shape[1], box[0], box[2])):
        centres = (np.arange(count) + 0.5) / count
        edge = max(soft * (high - low), 0.5 / count)
        sides.append(np.clip(np.minimum(centres - low, high - centres) / edge + 0.5, 0, 1))
    mask: Map = np.outer(sides[0], sides[1]).astype(np.float32)
    return mask
