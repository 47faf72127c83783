"""The range coder of `constriction` in Python, for machines that its wheels do not fit, such as Linux on ARM.

It has what `tacit.entropy.coder` uses of the library, writes the same words to the last bit, and is many times slower.
The arithmetic is that of docs/format.md: an interval of 64 bits is narrowed by frequencies of 24 bits, and whenever its
width falls below 2^32 a word of 32 bits leaves it.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import numpy as np

from tacit.entropy.tables import PRECISION

WORD = 2**32
_ALL = 2**64 - 1  # the width of the interval before the first symbol


class Categorical:
    """A table of frequencies.

    Args:
        probabilities: Of each entry, whole multiples of 2^-24 that add up to 1.
        perfect: As the library has it; the frequencies are always exact here.
    """

    def __init__(self, probabilities: np.ndarray, perfect: bool = True) -> None:
        frequencies = np.rint(probabilities * 2**PRECISION).astype(np.int64).tolist()
        self.starts = [0, *accumulate(frequencies)]
        """What is below each entry, and 2^24."""


class Uniform(Categorical):
    """A table in which all entries have the same frequency.

    Args:
        size: The number of entries, a power of two.
    """

    def __init__(self, size: int) -> None:
        super().__init__(np.full(size, 1 / size))


class RangeEncoder:
    """An encoder; it keeps the lower end of the interval, the words that have left it, and its width."""

    def __init__(self) -> None:
        self._words: list[int] = []
        self._low, self._range = 0, _ALL

    def clone(self) -> RangeEncoder:
        """Return another encoder in the same state."""
        other = RangeEncoder()
        other._words, other._low, other._range = self._words.copy(), self._low, self._range
        return other

    def encode(self, entries: np.ndarray, model: Categorical) -> None:
        """Encode entries of a table [n], int32."""
        starts, low, width = model.starts, self._low, self._range
        for entry in entries.tolist():
            scale = width >> PRECISION
            low += scale * starts[entry]
            width = scale * (starts[entry + 1] - starts[entry])
            if width < WORD:
                if low > _ALL:
                    _carry(self._words)
                    low &= _ALL
                self._words.append(low // WORD)
                low, width = low % WORD * WORD, width * WORD
        if low > _ALL:
            _carry(self._words)
            low &= _ALL
        self._low, self._range = low, width

    def pos(self) -> tuple[int, tuple[int, int]]:
        """Return how many words have left, and the interval's lower end and width."""
        return len(self._words), (self._low, self._range)

    def get_compressed(self) -> np.ndarray:
        """Return the words of all that was encoded, uint32: the shortest that lie in the interval."""
        if not self._words and self._range == _ALL:
            return np.empty(0, np.uint32)
        words = self._words.copy()
        point = -(-self._low // WORD)
        if point == WORD:
            _carry(words)
        more = [0] if (self._low + self._range) // WORD == point else []
        return np.array([*words, point % WORD, *more], np.uint32)


def _carry(words: list[int]) -> None:
    """Add one to a number of words, the highest first."""
    for i in reversed(range(len(words))):
        words[i] = (words[i] + 1) % WORD
        if words[i]:
            break


class RangeDecoder:
    """A decoder; it keeps the distance of the coded point from the interval's lower end, and the interval's width.

    Args:
        words: The words [n], uint32. Those that follow them are taken to be zero.
    """

    def __init__(self, words: np.ndarray) -> None:
        self._words: list[int] = words.tolist()
        self._next, self._range = 2, _ALL
        first, second = [*self._words, 0, 0][:2]
        self._offset = first * WORD + second

    def clone(self) -> RangeDecoder:
        """Return another decoder in the same state, of the same words."""
        other = RangeDecoder.__new__(RangeDecoder)
        other.__dict__.update(self.__dict__)
        return other

    def decode(self, model: Categorical, count: int) -> np.ndarray:
        """Return the next entries of a table, int32.

        Raises:
            ValueError: No encoder can have written the words.
        """
        starts, offset, width, words, at = model.starts, self._offset, self._range, self._words, self._next
        entries = []
        for _ in range(count):
            scale = width >> PRECISION
            quantile = offset // scale
            if quantile >= starts[-1]:
                raise ValueError("an encoder must have written the words, got others")
            entry = bisect_right(starts, quantile) - 1
            entries.append(entry)
            offset -= scale * starts[entry]
            width = scale * (starts[entry + 1] - starts[entry])
            if width < WORD:
                width *= WORD
                offset = offset * WORD + (words[at] if at < len(words) else 0)
                at += 1
        self._offset, self._range, self._next = offset, width, at
        return np.array(entries, np.int32)

    def maybe_exhausted(self) -> bool:
        """Return whether all words may have been decoded."""
        return self._next >= len(self._words) and (self._range == _ALL or self._offset < 2 * WORD - 1)
