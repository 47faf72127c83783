"""Superpixels: each place belongs to the nearest of the centres around it."""

from __future__ import annotations

import numpy as np

from tacit.finding.superpixels import COMPACTNESS, averaged, superpixels

LAB = np.random.default_rng(0).uniform(-50, 100, (24, 36, 3)).astype(np.float32)


def test_each_place_has_the_nearest_centre_around_it() -> None:
    height, width, rows, columns = 24, 36, 4, 6
    labels = superpixels(LAB, count=rows * columns, rounds=1)
    scale = COMPACTNESS / 6
    home = [[y * rows // height * columns + x * columns // width for x in range(width)] for y in range(height)]
    points = np.array([[[*LAB[y, x], scale * y, scale * x] for x in range(width)] for y in range(height)])
    centres = np.array([points[np.array(home) == number].mean(axis=0) for number in range(rows * columns)])
    for y in range(height):
        for x in range(width):
            row, column = divmod(home[y][x], columns)
            near = [
                r * columns + c
                for r in range(max(0, row - 1), min(rows, row + 2))
                for c in range(max(0, column - 1), min(columns, column + 2))
            ]
            distances = [((points[y, x] - centres[number]) ** 2).sum() for number in near]
            assert labels[y, x] == near[int(np.argmin(distances))]


def test_averages_keep_the_sum() -> None:
    labels = superpixels(LAB)
    values = averaged(LAB[..., 0], labels)
    assert np.isclose(values.sum(), LAB[..., 0].sum(), rtol=1e-5)
    assert all(len(np.unique(values[labels == number])) == 1 for number in np.unique(labels))
