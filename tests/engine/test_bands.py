"""The bands that threads work on: together they are the whole, and each sees what it needs."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.engine.bands import LEAST_ROWS, checkerboard, cut


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 8), (8, 1), (17, 3), (32, 48), (64, 64)])
@pytest.mark.parametrize("most", [1, 2, 3, 16])
@pytest.mark.parametrize("reach", [0, 1, 2])
def test_each_position_is_in_one_band_with_what_is_around_it(height: int, width: int, most: int, reach: int) -> None:
    bands = cut(height, width, reach, most)
    assert len(bands) == max(1, min(most, height // LEAST_ROWS))
    for kind, whole in zip(("anchors", "others"), checkerboard(height, width), strict=True):
        found = []
        for band in bands:
            own = getattr(band, kind)
            assert np.array_equal(whole[getattr(band, f"{kind}_span")], own + band.rows.start * width)
            found.append(own + band.rows.start * width)
            if own.size:
                top, bottom = own[0] // width + band.rows.start, own[-1] // width + band.rows.start
                assert band.rows.start <= max(0, top - reach)
                assert band.rows.stop >= min(height, bottom + 1 + reach)
        assert np.array_equal(np.concatenate(found), whole)
