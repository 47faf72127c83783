"""Bjoentegaard's differences and the interpolation under them, against closed forms, SciPy and another library."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import Curve, quality_at, quality_difference, rate_difference
from tacit.evaluation.pchip import Pchip

RATES = (0.1, 0.2, 0.4, 0.8, 1.6)
CURVE: Curve = (RATES, (26.0, 28.5, 31.2, 34.0, 37.1))

# A pair of curves that implementations of the measure have long carried as their example.
ANCHOR: Curve = ((686.76, 309.58, 157.11, 85.95), (40.28, 37.18, 34.24, 31.42))
TEST: Curve = ((893.34, 407.8, 204.93, 112.75), (40.39, 37.21, 34.17, 31.24))


def test_pchip_is_scipys() -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = np.cumsum(rng.random(7) + 0.05)
        y = rng.standard_normal(7).cumsum()
        at = np.linspace(x[0], x[-1], 101)
        assert Pchip(x, y)(at) == pytest.approx(interpolate.PchipInterpolator(x, y)(at), abs=1e-12)
        mean = interpolate.PchipInterpolator(x, y).integrate(x[1] + 0.01, x[-1] - 0.02) / (x[-1] - x[1] - 0.03)
        assert Pchip(x, y).mean(x[1] + 0.01, x[-1] - 0.02) == pytest.approx(mean, abs=1e-12)


def test_pchip_keeps_to_the_data() -> None:
    line = Pchip([0, 1, 3, 4], [1, 3, 7, 9])
    assert line(2.5) == pytest.approx(6)
    assert np.isnan(line(-0.01))
    assert np.isnan(line(4.01))
    assert line(4.0) == 9
    with pytest.raises(InvalidInput, match="rising"):
        Pchip([0, 1, 1], [0, 1, 2])


def test_a_curve_at_a_fixed_share_of_the_bits() -> None:
    half: Curve = ([rate / 2 for rate in RATES], CURVE[1])
    assert rate_difference(CURVE, CURVE).value == pytest.approx(0, abs=1e-9)
    assert rate_difference(CURVE, half).value == pytest.approx(-50)
    assert rate_difference(half, CURVE).value == pytest.approx(100)
    found = rate_difference(CURVE, half)
    assert (found.low, found.high, found.overlap) == (26.0, 37.1, 1.0)


def test_a_curve_at_a_fixed_distance_in_quality() -> None:
    better: Curve = (RATES, [q + 0.7 for q in CURVE[1]])
    found = quality_difference(CURVE, better)
    assert found.value == pytest.approx(0.7)
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(1.6)
    assert found.overlap == 1
    assert quality_difference(better, CURVE).value == pytest.approx(-0.7)


def test_metrics_where_lower_is_better() -> None:
    distance: Curve = (RATES, (0.5, 0.4, 0.25, 0.15, 0.05))
    half: Curve = ([rate / 2 for rate in RATES], distance[1])
    assert rate_difference(distance, half).value == pytest.approx(-50)
    assert quality_difference(distance, half).value < 0


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(5)), st.floats(0.2, 5))
def test_neither_order_nor_unit_of_the_points_matters(order: list[int], unit: float) -> None:
    shuffled: Curve = ([unit * CURVE[0][i] for i in order], [CURVE[1][i] for i in order])
    other: Curve = ([unit * rate for rate in (0.12, 0.31, 0.55, 1.3)], (26.5, 30.0, 32.0, 36.0))
    plain = rate_difference(CURVE, ([rate / unit for rate in other[0]], other[1])).value
    assert rate_difference(shuffled, other).value == pytest.approx(plain)


def test_the_overlap_is_stated_and_refused_when_too_small() -> None:
    upper: Curve = (RATES, [q + 7 for q in CURVE[1]])
    found = rate_difference(CURVE, upper, minimum_overlap=0.3)
    assert (found.low, found.high) == (33.0, 37.1)
    assert found.overlap == pytest.approx(4.1 / 11.1)
    with pytest.raises(InvalidInput, match=r"share 37 % of the qualities of the narrower one, less than 50 %"):
        rate_difference(CURVE, upper)
    with pytest.raises(InvalidInput, match="no qualities in common"):
        rate_difference(CURVE, (RATES, [q + 20 for q in CURVE[1]]), minimum_overlap=0)
    with pytest.raises(InvalidInput, match="no rates in common"):
        quality_difference(CURVE, ([rate * 100 for rate in RATES], CURVE[1]))
    # A short curve inside a long one is all there is to compare.
    assert rate_difference(CURVE, (RATES[1:4], CURVE[1][1:4])).overlap == 1


def test_curves_that_cannot_be_compared() -> None:
    with pytest.raises(InvalidInput, match=r"turns back between the rates 0\.2 and 0\.4 \(28\.5, 28\.4\)"):
        rate_difference(CURVE, (RATES, (26.0, 28.5, 28.4, 34.0, 37.1)))
    quality_difference(CURVE, (RATES, (26.0, 28.5, 28.4, 34.0, 37.1)))  # at a rate it has one quality all the same
    with pytest.raises(InvalidInput, match="test: a curve must have three points or more, got 2"):
        rate_difference(CURVE, (RATES[:2], CURVE[1][:2]))
    with pytest.raises(InvalidInput, match="anchor: must have as many rates as qualities, got 5 and 4"):
        rate_difference((RATES, CURVE[1][:4]), CURVE)
    with pytest.raises(InvalidInput, match="finite"):
        quality_difference(CURVE, (RATES, (*CURVE[1][:4], math.inf)))
    with pytest.raises(InvalidInput, match="different rates"):
        quality_difference(CURVE, ((0.1, 0.2, 0.2), (1.0, 2.0, 3.0)))


def test_as_the_library_bjontegaard() -> None:
    library = pytest.importorskip("bjontegaard")
    rate, quality = rate_difference(ANCHOR, TEST), quality_difference(ANCHOR, TEST)
    curves = (*(c[::-1] for c in ANCHOR), *(c[::-1] for c in TEST))
    assert rate.value == pytest.approx(library.bd_rate(*curves, method="pchip"), abs=1e-9)
    assert quality.value == pytest.approx(library.bd_psnr(*curves, method="pchip"), abs=1e-9)


def test_the_example_that_implementations_share() -> None:
    # What bjontegaard 1.3.0 makes of it by pchip; one cubic through the four points gives 31.40 % and -1.185 dB.
    assert rate_difference(ANCHOR, TEST).value == pytest.approx(31.379878202397627, abs=1e-6)
    assert quality_difference(ANCHOR, TEST).value == pytest.approx(-1.1834724046224592, abs=1e-6)


def test_quality_at_a_rate() -> None:
    assert quality_at(CURVE, 0.4) == pytest.approx(31.2)
    assert 31.2 < quality_at(CURVE, 0.5) < 34.0
    assert math.isnan(quality_at(CURVE, 0.05))
