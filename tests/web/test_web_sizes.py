"""Where the search for a size looks next."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.web.sizes import TOLERANCE, Sizes


def search(limit: int, size: dict[float, int] | None = None, *, slope: float = 0.03, bend: float = 0.0) -> list[float]:
    """The qualities that are tried for a picture of a megapixel."""
    sizes = Sizes(1_000_000)
    for quality, known in (size or {}).items():
        sizes.add(quality, known)
    tried: list[float] = []
    while (quality := sizes.next(limit, halve=len(tried) % 3 == 2)) is not None:
        tried.append(quality)
        assert len(tried) < 40
        sizes.add(quality, made(quality, slope, bend))
    best = sizes.best(limit)
    if best is None:
        assert made(0, slope, bend) > limit
    else:
        assert made(best, slope, bend) <= limit
        near = made(best, slope, bend) >= (1 - TOLERANCE) * limit
        assert near or best == 100 or made(round(best + 0.01, 2), slope, bend) > limit
    return tried


def made(quality: float, slope: float, bend: float) -> int:
    return round(7000 * math.exp(slope * quality + bend * math.sin(quality / 20)))


@given(st.integers(1, 10_000_000), st.floats(0.001, 0.08), st.floats(0, 0.01))
def test_the_best_that_fits_is_found(limit: int, slope: float, bend: float) -> None:
    search(limit, slope=slope, bend=bend)


def test_what_is_known_makes_it_short() -> None:
    assert len(search(40_000, slope=0.027)) <= 4
    known = {50.0: made(50, 0.027, 0), 55.0: made(55, 0.027, 0)}
    assert len(search(made(52, 0.027, 0), known, slope=0.027)) == 1
    assert search(made(50, 0.027, 0), known, slope=0.027) == []


@pytest.mark.parametrize(("limit", "tried"), [(10, [0.0]), (10_000_000, [100.0])])
def test_the_ends(limit: int, tried: list[float]) -> None:
    assert search(limit) == tried
