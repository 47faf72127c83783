"""Boxes as maps."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.errors import InvalidInput
from tacit.finding.boxes import MOST, Box, found_in_boxes, map_of_boxes


def test_places_have_the_part_that_boxes_cover() -> None:
    values = map_of_boxes([(8, 0, 28, 8), (12, 4, 16, 16)], 40, 16)
    assert values.tolist() == [[0, 1, 1, 0.5, 0], [0, 0.5, 0, 0, 0]]
    assert not map_of_boxes([], 40, 16).any()


def test_what_lies_beyond_the_border_is_cut_off() -> None:
    assert (map_of_boxes([(-50, -1, 16, 9)], 16, 16) == [[1, 1], [0.125, 0.125]]).all()


def test_maps_of_large_images_are_no_larger_than_they_must() -> None:
    values = map_of_boxes([(0, 0, 10_000, 5_000)], 20_000, 10_000)
    assert values.shape == (MOST // 2, MOST)
    assert np.isclose(values.mean(), 0.25)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 0, 8), "width and a height, got \\(0, 0, 0, 8\\)"),
        ((9, 0, 3, 8), "width and a height, got \\(9, 0, 3, 8\\)"),
        ((16, 0, 20, 8), "a box must be in the image of 16x16 pixels, got \\(16, 0, 20, 8\\)"),
        ((0, float("nan"), 20, 8), "a box must be four numbers"),
    ],
)
def test_boxes_that_are_none(box: Box, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        map_of_boxes([box], 16, 16)


def test_what_is_found_in_boxes_is_called_by_its_place() -> None:
    found = found_in_boxes([(0, 0, 8, 8), (8, 8, 16, 16)], 16, 16)
    assert found.found == ("box (0, 0, 8, 8)", "box (8, 8, 16, 16)")
    assert found.map.tolist() == [[1, 0], [0, 1]]
    assert not found_in_boxes([], 16, 16).found
