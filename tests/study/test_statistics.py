"""Paired differences and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tacit.evaluation.bjontegaard import Curve
from tacit.study.statistics import PairedDifferences, Ratio, quality_differences, rate_differences, ratio_of_means


def test_intervals_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    values = {str(i): float(v) for i, v in enumerate(rng.normal(0.5, 1, 24))}
    found = PairedDifferences.from_values(values, {})
    numbers = list(values.values())
    low, high = stats.t.interval(0.95, 23, np.mean(numbers), stats.sem(numbers))
    assert found.t == pytest.approx((low, high), rel=0.01)
    wanted = stats.bootstrap((numbers,), np.mean, method="percentile", rng=2).confidence_interval
    assert found.bootstrap == pytest.approx((wanted.low, wanted.high), abs=0.03)
    assert found.mean == pytest.approx(np.mean(numbers))


def test_few_images_have_no_interval_and_are_not_sure() -> None:
    found = PairedDifferences.from_values({"a": 1.0, "b": 1.1}, {"c": "no overlap"})
    assert (found.mean, found.t, found.bootstrap, found.excludes_zero) == (1.05, None, None, False)
    assert PairedDifferences.from_values({}, {}).mean is None


def test_excludes_zero_is_where_both_intervals_exclude_zero() -> None:
    assert PairedDifferences.from_values({str(i): 1 + i / 10 for i in range(8)}, {}).excludes_zero
    assert PairedDifferences.from_values({str(i): -1 - i / 10 for i in range(8)}, {}).excludes_zero
    assert not PairedDifferences.from_values({str(i): (-1) ** i + i / 10 for i in range(8)}, {}).excludes_zero
    assert not PairedDifferences.from_values(dict.fromkeys(map(str, range(8)), 0.0), {}).excludes_zero


def test_differences_of_curves_that_are_known() -> None:
    anchor: Curve = [0.1, 0.2, 0.4], [30.0, 33.0, 36.0]
    tenth_less: Curve = [0.09, 0.18, 0.36], [30.0, 33.0, 36.0]
    better: Curve = [0.1, 0.2, 0.4], [30.5, 33.5, 36.5]
    other: Curve = [4.0, 5.0, 6.0], [50.0, 51.0, 52.0]
    found = rate_differences(
        {"a": [(anchor, tenth_less)], "b": [(anchor, anchor), (anchor, tenth_less)], "c": [(anchor, other)]}
    )
    assert found.values == {"a": pytest.approx(-10), "b": pytest.approx(-5)}
    assert list(found.left_out) == ["c"]
    assert quality_differences({"a": [(anchor, better)]}).values == {"a": pytest.approx(0.5)}


def test_a_ratio_of_means_over_the_images_that_both_have() -> None:
    lower = {f"{i}": 2.0 + i % 2 for i in range(20)}
    upper = {f"{i}": 1.0 + i % 2 / 2 for i in range(21)}
    ratio = ratio_of_means(upper, lower)
    assert ratio.value == pytest.approx(0.5)
    assert ratio.bootstrap == pytest.approx((0.5, 0.5))
    assert ratio_of_means({"a": 1}, {"a": 2, "b": 3}) == Ratio(0.5, None)
    assert ratio_of_means({"a": 1}, {"a": 0}) == ratio_of_means({}, {}) == Ratio(None, None)
    noisy = ratio_of_means({k: v + (int(k) % 5 - 2) for k, v in upper.items()}, lower)
    assert noisy.value is not None
    assert noisy.bootstrap is not None
    assert noisy.bootstrap[0] < noisy.value < noisy.bootstrap[1]
