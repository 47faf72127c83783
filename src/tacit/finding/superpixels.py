"""Superpixels: small pieces of one colour each, by SLIC (Achanta et al. 2012), in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tacit.finding.maps import Map

COMPACTNESS = 12.0  # CIELAB units that one spacing of the grid counts as much as
_OFFSETS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]


def superpixels(lab: Map, count: int = 250, rounds: int = 5) -> NDArray[np.int64]:
    """Return the number of the superpixel that each place belongs to, [h, w].

    Args:
        lab: The image in CIELAB [h, w, 3].
        count: About how many superpixels there are.
        rounds: How often the centres are moved.
    """
    height, width = lab.shape[:2]
    spacing = max(1.0, (height * width / count) ** 0.5)
    rows, columns = max(1, round(height / spacing)), max(1, round(width / spacing))
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    scale = COMPACTNESS / spacing
    points = np.concatenate([lab, scale * row[..., None], scale * column[..., None]], axis=2).reshape(-1, 5)
    home_row = (np.arange(height) * rows // height)[:, None]
    home_column = (np.arange(width) * columns // width)[None]
    labels = (home_row * columns + home_column).ravel()
    # each place is compared with the centres that began around it
    candidates = np.stack(
        [
            (np.clip(home_row + down, 0, rows - 1) * columns + np.clip(home_column + across, 0, columns - 1)).ravel()
            for down, across in _OFFSETS
        ]
    )
    axes, everywhere = np.ascontiguousarray(points.T), np.arange(len(points))
    centres = np.zeros((rows * columns, 5), np.float32)
    for _ in range(rounds):
        counts = np.bincount(labels, minlength=len(centres))
        sums = np.stack([np.bincount(labels, points[:, i], len(centres)) for i in range(5)], axis=1)
        present = counts > 0
        centres[present] = sums[present] / counts[present, None]
        distances = np.zeros(candidates.shape, np.float32)
        for own, of_centres in zip(axes, centres.T, strict=True):
            differences = own - of_centres[candidates]
            distances += differences * differences
        labels = candidates[distances.argmin(axis=0), everywhere]
    grid: NDArray[np.int64] = labels.reshape(height, width)
    return grid


def averaged(values: Map, labels: NDArray[np.int64]) -> Map:
    """Return a map whose values are averaged over each superpixel."""
    counts = np.bincount(labels.ravel())
    means = np.bincount(labels.ravel(), values.ravel()) / np.maximum(counts, 1)
    spread: Map = means[labels].astype(np.float32)
    return spread
