"""Confidence intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import InvalidInput
from tacit.evaluation.confidence import confidence_interval


@pytest.mark.parametrize(("count", "quantile"), [(5, 2.776), (6, 2.571), (10, 2.262), (25, 2.064), (101, 1.984)])
def test_the_interval_is_students(count: int, quantile: float) -> None:
    values = np.linspace(-1, 1, count)
    low, high = confidence_interval(list(values))
    half = quantile * values.std(ddof=1) / np.sqrt(count)
    assert [low, high] == pytest.approx([-half, half], rel=3e-3)
    with pytest.raises(InvalidInput):
        confidence_interval([1.0] * 4)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=5, max_size=40), st.floats(-10, 10))
def test_the_interval_moves_with_its_values(values: list[float], shift: float) -> None:
    low, high = confidence_interval(values)
    assert low <= np.mean(values) + 1e-9
    assert high >= np.mean(values) - 1e-9
    moved = confidence_interval([v + shift for v in values])
    assert list(moved) == pytest.approx([low + shift, high + shift], abs=1e-6)
