"""Crops: random and central, and none that does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.data.batches import Collate
from tacit.data.crops import CenterCrop, RandomCrop
from tacit.errors import InvalidInput


def test_crops() -> None:
    rng = np.random.default_rng(0)
    boxes = [RandomCrop(10)(13, 11, rng) for _ in range(100)]
    assert {b[0] for b in boxes} == {0, 1, 2, 3}
    assert {b[1] for b in boxes} == {0, 1}
    assert all((right - left, bottom - top) == (10, 10) for left, top, right, bottom in boxes)
    assert CenterCrop(10)(13, 20, rng) == (1, 5, 11, 15)
    with pytest.raises(InvalidInput, match="must be 10x10 pixels or larger for this crop, got 9x20"):
        CenterCrop(10)(9, 20, rng)
    for make in (Collate, RandomCrop, CenterCrop):
        with pytest.raises(InvalidInput, match="1 pixel or more a side, got 0"):
            make(0)
