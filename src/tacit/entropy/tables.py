"""Integer probability tables: frequencies of 24 bits.

They are made once, when a model is frozen, and stored with it. They are never computed again, because floating-point
functions differ between machines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

PRECISION = 24  # bits of a frequency
ESCAPE_FLOOR = 2**10  # the least frequency of an escape, which so costs at most 14 bits and its value
SYMBOL_LIMIT = 1023  # symbols are clamped to this absolute value
ESCAPED_BITS = 11  # of a value that follows its escape, one of 2 * SYMBOL_LIMIT + 2


@dataclass(frozen=True)
class FrequencyTables:
    """Tables of the frequencies of symbols, one table after another.

    Table i has `sizes[i]` entries: the frequencies of the symbols lows[i], lows[i] + 1, …, and at its end that of the
    escape, which stands for all other symbols. A table's frequencies are positive and add up to 2^24.
    """

    frequencies: np.ndarray  # [sum of sizes], int32
    sizes: np.ndarray  # entries of each table [n], int32
    lows: np.ndarray  # lowest symbol of each table [n], int32

    def __post_init__(self) -> None:
        if len(self.sizes) != len(self.lows) or self.sizes.sum() != len(self.frequencies) or self.sizes.min() < 2:
            raise ValueError("sizes, lows and frequencies of tables do not fit together")
        totals = np.add.reduceat(self.frequencies.astype(np.int64), self.starts[:-1])
        if self.frequencies.min() < 1 or (totals != 2**PRECISION).any():
            raise ValueError(f"the frequencies of a table must be positive and add up to 2^{PRECISION}")

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def starts(self) -> np.ndarray:
        """The start of each table in `frequencies`, and the end of the last one [n + 1]."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    def table(self, index: int) -> np.ndarray:
        """Return the frequencies of one table."""
        return self.frequencies[self.starts[index] : self.starts[index + 1]]

    def codes(self, indices: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of symbols in their tables, and whether they are escaped.

        Args:
            indices: The table of each symbol, of any shape.
            symbols: The symbols, of the same shape.

        Returns:
            The places, int32, and whether each is that of the escape, bool; both of the same shape.
        """
        codes = symbols - self.lows[indices]
        last = self.sizes[indices] - 1
        escaped = (codes < 0) | (codes >= last)
        return np.where(escaped, last, codes).astype(np.int32), escaped

    def bits(self, indices: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Return what symbols cost in bits, with their values where they are escaped.

        Args:
            indices: The table of each symbol, of any shape.
            symbols: The symbols, of the same shape.

        Returns:
            Bits, float64, of the same shape.
        """
        codes, escaped = self.codes(indices, symbols)
        costs: np.ndarray = PRECISION - np.log2(self.frequencies[self.starts[indices] + codes])
        costs += ESCAPED_BITS * escaped
        return costs

    @staticmethod
    def make(rows: Sequence[tuple[int, np.ndarray]]) -> FrequencyTables:
        """Make tables from probabilities.

        Args:
            rows: For each table its lowest symbol, and the probabilities of the symbols from there on. What they lack
                to 1 becomes the probability of the escape.
        """
        frequencies = [_integers(p) for _, p in rows]
        return FrequencyTables(
            np.concatenate(frequencies).astype(np.int32),
            np.array([len(f) for f in frequencies], dtype=np.int32),
            np.array([low for low, _ in rows], dtype=np.int32),
        )


def _integers(probabilities: np.ndarray) -> np.ndarray:
    """Return frequencies with that of the escape at the end; the largest one takes up the rounding."""
    escape = max(1.0 - float(probabilities.sum()), ESCAPE_FLOOR / 2**PRECISION)
    p = np.append(probabilities, escape)
    out: np.ndarray = np.maximum(np.rint(p / p.sum() * 2**PRECISION).astype(np.int64), 1)
    out[out.argmax()] += 2**PRECISION - out.sum()
    return out


def gaussian_tables(scales: Sequence[float]) -> FrequencyTables:
    """Make tables of zero-mean normal distributions, integrated over unit intervals and cut at four sigma.

    Args:
        scales: The sigma of each table.
    """
    rows = []
    for scale in scales:
        reach = min(max(1, math.ceil(4 * scale)), SYMBOL_LIMIT)
        edges = np.arange(-reach, reach + 2) - 0.5
        cumulative = np.array([0.5 * math.erfc(-e / scale / math.sqrt(2)) for e in edges])
        rows.append((-reach, np.diff(cumulative)))
    return FrequencyTables.make(rows)


def prior_tables(mass: np.ndarray) -> FrequencyTables:
    """Make tables of the hyper-latents' densities.

    Args:
        mass: [C, 2 n + 1], each channel's probabilities of the symbols -n..n. A table ends where 1e-6 is left on a
            side.
    """
    reach = mass.shape[1] // 2
    rows = []
    for row in mass.astype(np.float64):
        kept = np.flatnonzero((np.cumsum(row) > 1e-6) & (np.cumsum(row[::-1])[::-1] > 1e-6))
        low, high = (kept[0], kept[-1]) if len(kept) else (reach, reach)
        rows.append((int(low) - reach, row[low : high + 1]))
    return FrequencyTables.make(rows)
