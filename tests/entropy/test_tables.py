"""Tables of frequencies: they add up, and follow their densities."""

from __future__ import annotations

import math

import constriction
import numpy as np
import pytest

import reference_decoder as reference
from tacit.entropy import coder
from tacit.entropy.tables import (
    ESCAPE_FLOOR,
    PRECISION,
    SYMBOL_LIMIT,
    FrequencyTables,
    gaussian_tables,
    prior_tables,
)

TOTAL = 2**PRECISION


SCALES = [0.02, 0.3, 1.0, 4.0, 64.0]


def implied(model: object, size: int) -> list[int]:
    """The frequencies that a model of the library stands for, read off what it makes of each symbol alone: the first
    word is the lower end of the symbol's interval, (2^40 - 1) times its cumulative frequency, rounded up to 32 bits."""
    below = []
    for symbol in range(size):
        alone = constriction.stream.queue.RangeEncoder()
        alone.encode(np.array([symbol], dtype=np.int32), model)
        below.append((int(alone.get_compressed()[0]) << 32) // (2**40 - 1))
    return [int(width) for width in np.diff([*below, TOTAL])]


def test_tables_add_up_and_follow_the_normal_distribution() -> None:
    tables = gaussian_tables(SCALES)
    for i, scale in enumerate(SCALES):
        table = tables.table(i).astype(np.int64)
        reach = -int(tables.lows[i])
        assert table.sum() == TOTAL
        assert table.min() >= 1
        assert table[-1] >= ESCAPE_FLOOR // 2  # an escape stays affordable
        assert reach >= min(4 * scale, SYMBOL_LIMIT)
        assert np.array_equal(table[:-1], table[:-1][::-1])  # symmetric
        edges = (np.arange(-reach, reach + 2) - 0.5) / scale
        exact = np.diff([0.5 * math.erfc(-e / math.sqrt(2)) for e in edges])
        assert np.abs(table[:-1] / TOTAL - exact).max() < 1e-3
        assert np.abs(table[:-1] / TOTAL - exact)[exact < 0.5].max() < 1e-4


def test_prior_tables_cut_the_tails() -> None:
    symbols = np.arange(-255, 256)
    centres = np.array([[0.0], [3.0], [-200.0]])
    mass = np.exp(-np.abs(symbols - centres))
    mass /= mass.sum(axis=1, keepdims=True)
    tables = prior_tables(mass)
    assert len(tables) == 3
    for i, centre in enumerate((0, 3, -200)):
        low, high = int(tables.lows[i]), int(tables.lows[i]) + int(tables.sizes[i]) - 2
        assert low < centre < high
        assert high - low < 60
        assert tables.table(i).sum() == TOTAL
        assert low + int(tables.table(i)[:-1].argmax()) == centre


@pytest.mark.parametrize(
    ("frequencies", "sizes", "lows"),
    [
        ([TOTAL, 0], [2], [0]),  # not positive
        ([TOTAL - 1, 2], [2], [0]),  # one too many
        ([TOTAL], [1], [0]),  # nothing but an escape
        ([TOTAL - 1, 1], [3], [0]),  # sizes of something else
        ([TOTAL - 1, 1], [2], [0, 1]),
        ([-1, TOTAL + 1], [2], [0]),
    ],
)
def test_tables_that_cannot_be_are_refused(frequencies: list[int], sizes: list[int], lows: list[int]) -> None:
    with pytest.raises(ValueError, match="table"):
        FrequencyTables(*(np.array(v, dtype=np.int32) for v in (frequencies, sizes, lows)))


def test_escaped_values_are_eleven_bits() -> None:
    assert implied(coder._ESCAPED, 2048) == reference.ESCAPE_VALUES
