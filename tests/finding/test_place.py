from __future__ import annotations

import numpy as np
import pytest

from tacit.finding import CueFinder
from tacit.finding.boxes import boxes_around
from tacit.finding.phrases import phrases_of
from tacit.finding.place import placed

LEFTS = (60, 226, 392)  # of three red boxes, in pixels


def three() -> np.ndarray:
    """Three red boxes of 60x60 pixels in a row."""
    noise = np.random.default_rng(0).integers(-12, 12, (256, 512, 1))
    image = (np.array((120, 150, 120)) + noise).astype(np.uint8)
    for left in LEFTS:
        image[90:150, left : left + 60] = (200, 30, 30)
    return image


@pytest.mark.parametrize(
    ("text", "which"),
    [
        ("the left red box", [0]),
        ("the red box in the middle", [1]),
        ("the red box on the far right", [2]),
        ("the second red box from the right", [1]),
        ("the third red box from the left", [2]),
        ("the red boxes", [0, 1, 2]),
        ("the red boxes on the left", [0, 1]),
    ],
)
def test_of_several_of_a_kind_the_one_that_is_named_is_found(text: str, which: list[int]) -> None:
    (thing,) = CueFinder()(three(), text).things
    assert thing.map is not None
    middles = sorted((left + right) / 2 for left, _, right, _ in boxes_around(thing.map, 512, 256))
    assert np.allclose(middles, [LEFTS[n] + 30 for n in which], atol=12)


@pytest.mark.parametrize(
    ("text", "which"),
    [
        ("the left boat", 1),
        ("the upper right boat", 2),
        ("the boat in the middle", 0),
        ("the second boat from the left", 0),
        ("the fourth boat from the left", None),
        ("the boats on the left", None),
        ("the boat in the background", None),
        ("the boat", None),
    ],
)
def test_box_is_chosen_by_its_place_among_the_others(text: str, which: int | None) -> None:
    boxes = [(0.5, (0.3, 0.4, 0.4, 0.5)), (0.4, (0.1, 0.4, 0.2, 0.5)), (0.6, (0.5, 0.1, 0.6, 0.5))]
    (phrase,) = phrases_of(text)
    assert placed(boxes, phrase) == which
    assert placed([], phrase) is None
