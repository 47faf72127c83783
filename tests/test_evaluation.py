"""Metrics of evaluation, against closed forms and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tacit.errors import InvalidInput
from tacit.evaluation.metrics import Pchip, bd_rate, psnr_at

CURVE = [(0.1, 26.0), (0.2, 28.5), (0.4, 31.2), (0.8, 34.0), (1.6, 37.1)]


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


def test_bd_rate_of_a_curve_at_a_fixed_share_of_the_bits() -> None:
    half = [(rate / 2, decibels) for rate, decibels in CURVE]
    assert bd_rate(CURVE, CURVE) == pytest.approx(0, abs=1e-9)
    assert bd_rate(half, CURVE) == pytest.approx(-50)
    assert bd_rate(CURVE, half) == pytest.approx(100)


def test_bd_rate_counts_only_what_both_reach() -> None:
    beyond = [*CURVE, (10.0, 37.2)]  # a bad point above the other's reach
    assert bd_rate(beyond[:5], CURVE) == pytest.approx(0, abs=1e-9)
    with pytest.raises(InvalidInput, match="in common"):
        bd_rate([(r, p + 20) for r, p in CURVE], CURVE)


def test_psnr_at_a_rate() -> None:
    assert psnr_at(CURVE, 0.4) == pytest.approx(31.2)
    assert 31.2 < psnr_at(CURVE, 0.5) < 34.0
    assert math.isnan(psnr_at(CURVE, 0.05))
