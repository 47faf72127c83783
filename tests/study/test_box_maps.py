"""Quality maps of boxes: which cells a box covers, and what follows for their quality."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.codec.steering import offsets, relevance
from tacit.study.box_maps import box_map, box_pixels
from tacit.study.config import BoxMapConfig
from tacit.study.named_regions import Box


def box_shares(box: Box, width: int, height: int, edge: float = 0) -> np.ndarray:
    return relevance(box_pixels(box, width, height, edge), width, height, cover=1)


def test_shares_are_those_of_the_cells_that_the_box_covers() -> None:
    shares = box_shares((32, 0, 128, 64), 160, 100)
    assert shares.tolist() == [[0.5, 1, 0], [0, 0, 0]]
    # The last row and column are cut by the border, and count as what is there of them.
    assert box_shares((128, 64, 160, 100), 160, 100).tolist() == [[0, 0, 0], [0, 0, 1]]


def test_a_soft_edge_falls_with_the_distance() -> None:
    hard, soft = (box_shares((64, 64, 128, 128), 256, 192, edge) for edge in (0, 32))
    assert hard[1].tolist() == [0, 1, 0, 0]
    assert soft[1, 1] == 1
    assert soft[1, 0] == soft[0, 1] == soft[1, 2] == pytest.approx(15.5 / 64)  # 31/32, 30/32, ... of 64 columns
    assert 0 < soft[0, 0] < soft[0, 1] ** 2 * 2
    assert soft[1, 3] == 0


def test_the_map_is_that_of_steering_by_the_shares() -> None:
    box = (10, 20, 150, 90)
    shares = box_shares(box, 320, 200)
    assert (box_map(box, 320, 200, BoxMapConfig(steps=35, cover=1)) == offsets(shares, 35)).all()
    assert (box_map(box, 320, 200, BoxMapConfig(steps=35, cover=0.01)) == offsets((shares > 0).astype(float), 35)).all()


def test_the_quality_of_the_rest_falls_no_further_than_allowed() -> None:
    free, held = (box_map((0, 0, 192, 128), 256, 128, BoxMapConfig(steps=40, fall=fall)) for fall in (100, 8))
    assert free.tolist() == [[10, 10, 10, -30]] * 2
    assert held.tolist() == [[10, 10, 10, -8]] * 2
    assert np.array_equal(held, held.round())
