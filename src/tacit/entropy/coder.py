"""Entropy coding of symbols to bytes and back, with the range coder of `constriction`.

Symbols come in batches; each symbol names its table. A batch is coded table by table (in rising order, the order inside
a table kept), so that one call codes all symbols of a table and no Python loop runs over symbols. Symbols outside their
table are coded as its escape, and their values follow the batch as 11-bit numbers.
"""

from __future__ import annotations

import constriction
import numpy as np

from tacit.entropy.tables import PRECISION, SYMBOL_LIMIT, FrequencyTables
from tacit.errors import CorruptFile

_Categorical = constriction.stream.model.Categorical
_ESCAPED = constriction.stream.model.Uniform(2 * SYMBOL_LIMIT + 2)


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
            model = self._models[index] = _Categorical(probabilities, perfect=True)
        return model


def _by_table(indices: np.ndarray, count: int) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Return a stable order of symbols by table, and the runs in it as (table, begin, end)."""
    order = np.argsort(indices, kind="stable")  # a radix sort for 8- and 16-bit integers
    counts = np.bincount(indices, minlength=count)
    ends = np.cumsum(counts)
    present = np.flatnonzero(counts)
    return order, [(int(t), int(ends[t] - counts[t]), int(ends[t])) for t in present]


class SymbolEncoder:
    """An encoder of batches of symbols; `finish` returns the bytes."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def put(self, models: SymbolModels, indices: np.ndarray, symbols: np.ndarray) -> None:
        """Encode a batch.

        Args:
            models: The models of the tables.
            indices: The table of each symbol [n], uint8 or uint16.
            symbols: The symbols [n], int32 within SYMBOL_LIMIT.
        """
        tables = models.tables
        order, runs = _by_table(indices, len(tables))
        codes, escaped = tables.codes(indices[order], symbols[order])
        for table, begin, end in runs:
            self._coder.encode(codes[begin:end], models[table])
        if escaped.any():
            self._coder.encode((symbols[order][escaped] + SYMBOL_LIMIT + 1).astype(np.int32), _ESCAPED)

    def finish(self) -> bytes:
        """Return the bytes: little-endian words of 32 bits."""
        words: np.ndarray = self._coder.get_compressed()
        return words.astype("<u4").tobytes()


class SymbolDecoder:
    """A decoder of batches of symbols, in the order in which they were encoded.

    Raises:
        CorruptFile: The data are not whole words.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise CorruptFile(f"entropy-coded data must have a multiple of 4 bytes, got {len(data)}")
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, dtype="<u4").astype(np.uint32))

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
        order, runs = _by_table(indices, len(tables))
        codes = np.empty(len(indices), dtype=np.int32)
        try:
            for table, begin, end in runs:
                codes[begin:end] = self._coder.decode(models[table], end - begin)
            ordered = indices[order]
            values = codes + tables.lows[ordered]
            escaped = codes == tables.sizes[ordered] - 1
            count = int(escaped.sum())
            if count:
                values[escaped] = self._coder.decode(_ESCAPED, count) - SYMBOL_LIMIT - 1
                if values.min() < -SYMBOL_LIMIT:  # the networks are proven exact for symbols within the limit
                    raise ValueError(f"a symbol must be at least -{SYMBOL_LIMIT}, got {values.min()}")
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
        if not self._coder.maybe_exhausted():
            raise CorruptFile("entropy-coded data go on after the last symbol")
