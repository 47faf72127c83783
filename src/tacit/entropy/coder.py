"""Entropy coding of symbols to bytes and back, by the range coder of `constriction`, or by ours where that is missing.

Symbols come in batches; each symbol names its table. A batch is coded table by table, in rising or in falling order,
and in its own order inside a table, so that one call codes all symbols of a table and no Python loop runs over symbols.
Symbols outside their table are coded as its escape, and their values follow the batch as 11-bit numbers.

The tables of wide distributions, whose symbols say most of an image, have the highest numbers. In falling order they
come first, so that the beginning of the bytes is worth most.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tacit.entropy import range_coder
from tacit.entropy.tables import PRECISION, SYMBOL_LIMIT, FrequencyTables
from tacit.errors import CorruptFile

_models: Any
_queue: Any
try:
    import constriction
except ImportError:  # there is no wheel of it for Linux on ARM
    _models = _queue = range_coder
else:
    _models, _queue = constriction.stream.model, constriction.stream.queue

_ESCAPED = _models.Uniform(2 * SYMBOL_LIMIT + 2)
_HELD = 2  # words that a decoder takes before its first symbol


class SymbolModels:
    """The range coder's models for a set of tables, each made when it is first used."""

    def __init__(self, tables: FrequencyTables) -> None:
        self.tables = tables
        self._models: dict[int, object] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_models": {}}  # constriction's models can be neither pickled nor copied

    def __getitem__(self, index: int) -> object:
        model = self._models.get(index)
        if model is None:
            # perfect=True reproduces the integer frequencies exactly (tested); the faster construction does not
            probabilities = self.tables.table(index) / 2**PRECISION
            model = self._models[index] = _models.Categorical(probabilities, perfect=True)
        return model


def _by_table(indices: np.ndarray, count: int, falling: bool) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Return a stable order of symbols by table, and the runs in it as (table, begin, end)."""
    keys = np.iinfo(indices.dtype).max - indices if falling else indices
    order = np.argsort(keys, kind="stable")  # a radix sort for 8- and 16-bit integers
    counts = np.bincount(indices, minlength=count)
    present = np.flatnonzero(counts)
    tables = present[::-1] if falling else present
    ends = np.cumsum(counts[tables])
    return order, [(int(t), int(end - counts[t]), int(end)) for t, end in zip(tables, ends, strict=True)]


class SymbolEncoder:
    """An encoder of batches of symbols; `finish` returns the bytes.

    Args:
        falling: Whether the tables of a batch come in falling order.
    """

    def __init__(self, falling: bool = False) -> None:
        self._falling = falling
        self._coder = _queue.RangeEncoder()

    def put(self, models: SymbolModels, indices: np.ndarray, symbols: np.ndarray) -> None:
        """Encode a batch.

        Args:
            models: The models of the tables.
            indices: The table of each symbol [n], uint8 or uint16.
            symbols: The symbols [n], int32 within SYMBOL_LIMIT.
        """
        tables = models.tables
        order, runs = _by_table(indices, len(tables), self._falling)
        codes, escaped = tables.codes(indices[order], symbols[order])
        for table, begin, end in runs:
            self._coder.encode(codes[begin:end], models[table])
        if escaped.any():
            self._coder.encode((symbols[order][escaped] + SYMBOL_LIMIT + 1).astype(np.int32), _ESCAPED)

    def finish(self) -> bytes:
        """Return the bytes: little-endian words of 32 bits."""
        words: np.ndarray = self._coder.get_compressed()
        return words.astype("<u4").tobytes()


class _Source(Protocol):
    """Decodes entries of tables from bytes."""

    def take(self, model: object, count: int) -> np.ndarray:
        """Return the next entries of a table, int32; fewer than `count` where the bytes have ended."""

    def end(self) -> None:
        """Take what follows as not there."""

    def at_end(self) -> bool:
        """Return whether nothing may be left."""


class _WholeSource:
    """The whole bytes."""

    def __init__(self, words: np.ndarray) -> None:
        self._coder = _queue.RangeDecoder(words)

    def take(self, model: object, count: int) -> np.ndarray:
        """Return the next entries of a table."""
        entries: np.ndarray = self._coder.decode(model, count)
        return entries

    def end(self) -> None:
        """Refuse the bytes.

        Raises:
            ValueError: In any case.
        """
        raise ValueError(f"a symbol must be at least -{SYMBOL_LIMIT}, got {-SYMBOL_LIMIT - 1}")

    def at_end(self) -> bool:
        """Return whether all words are used."""
        return bool(self._coder.maybe_exhausted())


class _CutSource:
    """The beginning of the bytes: it ends before the first entry for which a word is missing.

    A decoder holds two words and takes another one now and then. How many it has taken is known from an encoder, which
    codes again what was decoded.
    """

    def __init__(self, words: np.ndarray) -> None:
        self._words = len(words)
        self._coder = _queue.RangeDecoder(words)
        self._again = _queue.RangeEncoder()
        self._ended = self._words < _HELD

    def take(self, model: object, count: int) -> np.ndarray:
        """Return the next entries of a table, as many as are known."""
        if self._ended or not count:
            return np.empty(0, np.int32)
        coder, again = self._coder.clone(), self._again.clone()
        try:
            entries: np.ndarray = coder.decode(model, count)
        except (AssertionError, ValueError):  # not written by an encoder: what follows is no use
            if count == 1:
                self._ended = True
                return np.empty(0, np.int32)
            return self._in_halves(model, count)
        again.encode(entries, model)
        written, _ = again.pos()
        if _HELD + written > self._words:  # words are missing after the last of the entries, or before
            if count > 1:
                return self._in_halves(model, count)
            self._ended = True
        self._coder, self._again = coder, again
        return entries

    def _in_halves(self, model: object, count: int) -> np.ndarray:
        return np.concatenate([self.take(model, count // 2), self.take(model, count - count // 2)])

    def end(self) -> None:
        """Take what follows as not there."""
        self._ended = True

    def at_end(self) -> bool:
        """Return True: how much is left is not known."""
        return True


class SymbolDecoder:
    """A decoder of batches of symbols, in the order in which they were encoded.

    Args:
        data: The bytes.
        falling: As they were encoded.
        cut: Whether only the beginning of the bytes is there. Symbols that need more are then zero, and so are all
            after what no encoder can have written.

    Raises:
        CorruptFile: The data are not whole words.
    """

    def __init__(self, data: bytes, falling: bool = False, cut: bool = False) -> None:
        if cut:
            data = data[: len(data) // 4 * 4]
        if len(data) % 4:
            raise CorruptFile(f"entropy-coded data must have a multiple of 4 bytes, got {len(data)}")
        words = np.frombuffer(data, dtype="<u4").astype(np.uint32)
        self._falling = falling
        self._source: _Source = _CutSource(words) if cut else _WholeSource(words)

    def get(self, models: SymbolModels, indices: np.ndarray) -> np.ndarray:
        """Decode a batch.

        Args:
            models: The models of the tables.
            indices: The table of each symbol [n].

        Returns:
            The symbols [n], int32.

        Raises:
            CorruptFile: No encoder can have written the data.
        """
        tables = models.tables
        order, runs = _by_table(indices, len(tables), self._falling)
        ordered = indices[order]
        known, source = 0, self._source
        codes = np.empty(len(indices), dtype=np.int32)
        try:
            for table, begin, end in runs:
                part = source.take(models[table], end - begin)
                known = begin + len(part)
                codes[begin:known] = part
                if known < end:
                    break
            values = codes + tables.lows[ordered]
            escaped = np.flatnonzero(codes[:known] == tables.sizes[ordered[:known]] - 1)
            values[known:] = 0
            if len(escaped):
                found = source.take(_ESCAPED, len(escaped)) - SYMBOL_LIMIT - 1
                wrong = np.flatnonzero(found < -SYMBOL_LIMIT)  # networks are proven exact for symbols within the limit
                if len(wrong):
                    source.end()
                    found = found[: wrong[0]]
                values[escaped] = 0
                values[escaped[: len(found)]] = found
        except (AssertionError, ValueError) as error:
            raise CorruptFile(f"entropy-coded data cannot have been written by an encoder: {error}") from error
        symbols: np.ndarray = np.empty_like(values)
        symbols[order] = values
        return symbols

    def finish(self) -> None:
        """Check that no data are left.

        Raises:
            CorruptFile: The data go on after the last symbol.
        """
        if not self._source.at_end():
            raise CorruptFile("entropy-coded data go on after the last symbol")
