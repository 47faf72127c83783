"""The search for the largest quality whose file has at most N bytes."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tacit.codec.options import Target
from tacit.codec.rate_control import (
    ATTEMPTS,
    REFINED_ATTEMPTS,
    SIZE_TOLERANCE,
    Attempt,
    QualitySearch,
    Scale,
    SizeSearch,
    reach,
)

WHOLE = Scale(1, 95, 1)


@given(
    st.floats(-5, 5), st.floats(0.2, 5), st.floats(0, 0.02), st.floats(-6, 12), st.sampled_from([0, 0.01, 0.1]),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_the_search_finds_the_largest(
    start: float, power: float, slope: float, limit: float, step: float, both_ends: bool
) -> None:
    """On smooth and on stepped functions of many slopes."""

    def value(x: float) -> float:
        rising: float = start + 6 * (x / 100) ** power + slope * x
        return rising if step == 0 else math.floor(rising / step) * step

    search = QualitySearch(both_ends=both_ends)
    tried: list[float] = []
    while len(tried) < ATTEMPTS and (quality := search.next(limit, 0.05, len(tried))) is not None:
        tried.append(quality)
        search.add(quality, value(quality))
    best = search.best(limit)
    assert len(set(tried)) == len(tried)
    assert all(0 <= x <= 100 and round(x, 2) == x for x in tried)
    if best is None:
        assert value(0) > limit
        return
    assert value(best) <= limit
    if best < 100 and power >= 0.5:  # a root's end is too steep for 18 attempts
        assert value(best) >= limit - 0.05 - step or value(best + 0.05) > limit - 0.05 - step


def test_where_it_begins() -> None:
    assert QualitySearch().next(1.0) == 0
    ends = QualitySearch(both_ends=True)
    ends.add(0, 0.5)
    assert ends.next(1.0, 0.9) == 100
    one_end = QualitySearch()
    one_end.add(0, 0.5)
    assert one_end.next(1.0, 0.1) == 50
    assert one_end.next(1.0, 0.9) is None
    one_end.add(50, 2.0)
    assert one_end.next(1.0, 0.1, 2) == pytest.approx(100 * (1 - 0.05 - 0.5) / (2 * 1.5), abs=0.01)
    assert one_end.next(1.0, 0.1, 4) == 25
    assert one_end.next(1.0) == 25


@given(st.integers(1, 5_000), st.floats(0.0, 0.08), st.floats(0, 40), st.sampled_from([0.0, 0.01]))
@example(100, 0.05, 0, 0.0)
def test_sizes_on_a_scale_of_whole_numbers(limit: int, slope: float, ripple: float, tolerance: float) -> None:
    """Also where they do not quite rise: then what is found fits, at least."""

    def size(quality: float) -> int:
        return round(60 * math.exp(slope * quality) + ripple * math.sin(quality))

    search = SizeSearch(WHOLE, tolerance=tolerance)
    tried = []
    for quality in search.steps(limit):
        assert quality == int(quality)
        assert 1 <= quality <= 95
        search.add(quality, size(quality))
        tried.append(quality)
    best = search.best(limit)
    assert len(set(tried)) == len(tried)
    if best is None:
        assert tried == [1]
        assert size(1) > limit
        return
    assert size(best) <= limit
    if tolerance == 0:
        assert best == 95 or size(best + 1) > limit
        assert len(tried) <= 8
        if ripple == 0:
            assert best == max(q for q in range(1, 96) if size(q) <= limit)
    else:
        assert best == 95 or size(best + 1) > limit or size(best) >= (1 - tolerance) * limit


@pytest.mark.parametrize("step", [0.01, 0.1, 0.5, 1])
def test_qualities_of_a_scale(step: float) -> None:
    scale = Scale(0, 100, step)
    for quality in (0, 12.344, 49.999, 99.7, 100, 120, -3):
        nearest = scale.nearest(quality)
        assert 0 <= nearest <= 100
        assert abs(nearest - min(max(quality, 0), 100)) <= step / 2 + 1e-9
        assert nearest / step == pytest.approx(round(nearest / step), abs=1e-6)


# With an idea of a photograph's rate


def photograph(quality: float, slope: float, bend: float) -> int:
    """Bytes of a megapixel."""
    return round(7000 * math.exp(slope * quality + bend * math.sin(quality / 20)))


def tries(limit: int, known: dict[float, int] | None = None, *, slope: float = 0.03, bend: float = 0.0) -> list[float]:
    """The qualities that are tried for a photograph of a megapixel."""
    search = SizeSearch(tolerance=SIZE_TOLERANCE, pixels=1_000_000)
    for quality, size in (known or {}).items():
        search.add(quality, size)
    tried: list[float] = []
    while (quality := search.next(limit, len(tried))) is not None:  # type: ignore[assignment]
        tried.append(quality)
        assert len(tried) < 40
        search.add(quality, photograph(quality, slope, bend))
    best = search.best(limit)
    if best is None:
        assert photograph(0, slope, bend) > limit
    else:
        assert photograph(best, slope, bend) <= limit
        near = photograph(best, slope, bend) >= (1 - SIZE_TOLERANCE) * limit * (1 - 1e-9)
        assert near or best == 100 or photograph(round(best + 0.01, 2), slope, bend) > limit
    return tried


@given(st.integers(1, 10_000_000), st.floats(0.001, 0.08), st.floats(0, 0.01))
def test_the_best_that_fits_is_found(limit: int, slope: float, bend: float) -> None:
    tries(limit, slope=slope, bend=bend)


def test_what_is_known_makes_it_short() -> None:
    assert len(tries(40_000, slope=0.027)) <= 4
    known = {quality: photograph(quality, 0.027, 0) for quality in (50.0, 55.0)}
    assert len(tries(photograph(52, 0.027, 0), known, slope=0.027)) == 1
    assert tries(known[50.0], known, slope=0.027) == []


@pytest.mark.parametrize(("limit", "tried"), [(10, [0.0]), (10_000_000, [100.0])])
def test_the_ends(limit: int, tried: list[float]) -> None:
    assert tries(limit) == tried


@pytest.mark.parametrize(("saving", "attempts"), [(0.04, 1), (0.0, 2), (0.12, 2), (-0.02, 2)])
def test_refinement_comes_after_the_search_and_is_corrected(saving: float, attempts: int) -> None:
    refined: list[float] = []

    def plain(quality: float | None, reconstruct: bool) -> Attempt:
        assert not refined, "the search is over when refinement begins"
        return Attempt(quality, bytes(round(1000 * math.exp(0.03 * (quality or 0)))))

    def better(quality: float | None, reconstruct: bool) -> Attempt:
        refined.append(quality or 0)
        return Attempt(quality, bytes(round((1 - saving) * 1000 * math.exp(0.03 * (quality or 0)))))

    made = reach(Target(size=5000), plain, 10_000, False, better)
    assert (1 - SIZE_TOLERANCE) * 5000 <= len(made.data) <= 5000
    assert made.quality == refined[-1]
    assert len(refined) == attempts <= REFINED_ATTEMPTS


@pytest.mark.parametrize(("gain", "attempts"), [(0.1, 1), (0.4, 2), (-0.3, 2)])
def test_a_refined_psnr_is_corrected(gain: float, attempts: int) -> None:
    refined: list[float] = []

    def plain(quality: float | None, reconstruct: bool, gain: float = 0.0) -> Attempt:
        at = quality or 0
        return Attempt(quality, bytes(round(1000 * math.exp(0.03 * at))), psnr=24 + 0.12 * at + gain)

    def better(quality: float | None, reconstruct: bool) -> Attempt:
        refined.append(quality or 0)
        return replace(plain(quality, reconstruct, gain), data=plain(quality, reconstruct).data[:-30])

    made = reach(Target(psnr=30.0), plain, 10_000, False, better)
    assert 30 <= (made.psnr or 0) < 30.05
    assert len(refined) == attempts


def test_rate_control_and_options_need_no_torch() -> None:
    script = (
        "import sys, tacit.codec.options, tacit.codec.rate_control\n"
        "tacit.codec.options.EncodeOptions(quality=5)\n"
        "assert not {'torch', 'numpy', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
