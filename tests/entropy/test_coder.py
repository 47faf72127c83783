"""Symbols become the bytes of the specified arithmetic, and come back."""

from __future__ import annotations

import contextlib
import math

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_decoder as reference
from support.paths import ROOT
from support.walks import entropy_of
from tacit import container
from tacit.codec import Codec
from tacit.entropy.coder import SymbolDecoder, SymbolEncoder, SymbolModels
from tacit.entropy.tables import (
    PRECISION,
    SYMBOL_LIMIT,
    FrequencyTables,
    gaussian_tables,
)
from tacit.errors import CorruptFile

TOTAL = 2**PRECISION


SCALES = [0.02, 0.3, 1.0, 4.0, 64.0]


def random_tables(rng: np.random.Generator, count: int) -> FrequencyTables:
    """Tables of all sizes, flat and steep, with frequencies of 1 in them."""
    rows = []
    for _ in range(count):
        size = int(rng.integers(1, 40))
        mass = rng.dirichlet(np.full(size, rng.choice([0.01, 0.3, 5.0]))) * rng.choice([1.0, 0.9, 0.2])
        rows.append((int(rng.integers(-30, 5)), mass))
    return FrequencyTables.make(rows)


def batch(
    rng: np.random.Generator, tables: FrequencyTables, count: int, wide: float = 0.02
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and symbols: most inside their tables, some far out, some at the limits."""
    indices = rng.integers(0, len(tables), count).astype(np.uint16)
    inside = tables.lows[indices] + rng.integers(0, 2**20, count) % np.maximum(tables.sizes[indices] - 1, 1)
    far = rng.integers(-SYMBOL_LIMIT, SYMBOL_LIMIT + 1, count)
    ends = rng.choice([-SYMBOL_LIMIT, SYMBOL_LIMIT], count)
    dice = rng.random(count)
    symbols = np.where(dice < wide, far, np.where(dice < 1.5 * wide, ends, inside))
    return indices, symbols.astype(np.int32)


def reference_rows(tables: FrequencyTables) -> list[reference.Table]:
    return [(int(tables.lows[i]), tables.table(i).tolist()) for i in range(len(tables))]


def encode(models: SymbolModels, batches: list[tuple[np.ndarray, np.ndarray]], falling: bool = False) -> bytes:
    encoder = SymbolEncoder(falling)
    for indices, symbols in batches:
        encoder.put(models, indices, symbols)
    return encoder.finish()


def implied(model: object, size: int) -> list[int]:
    """The frequencies that a model of the library stands for, read off what it makes of each symbol alone: the first
    word is the lower end of the symbol's interval, (2^40 - 1) times its cumulative frequency, rounded up to 32 bits."""
    below = []
    for symbol in range(size):
        alone = constriction.stream.queue.RangeEncoder()
        alone.encode(np.array([symbol], dtype=np.int32), model)
        below.append((int(alone.get_compressed()[0]) << 32) // (2**40 - 1))
    return [int(width) for width in np.diff([*below, TOTAL])]


def test_the_library_takes_over_every_shipped_table_to_the_last_unit(shipped_codec: Codec) -> None:
    entropy = entropy_of(shipped_codec)
    for models in (entropy.y_models, entropy.z_models):
        for i in range(len(models.tables)):
            expected = models.tables.table(i).tolist()
            assert implied(models[i], len(expected)) == expected


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_library_takes_over_any_table_to_the_last_unit(seed: int) -> None:
    tables = random_tables(np.random.default_rng(seed), 3)
    models = SymbolModels(tables)
    for i in range(len(tables)):
        expected = tables.table(i).tolist()
        assert implied(models[i], len(expected)) == expected


def test_the_measure_of_implied_tables_sees_one_unit() -> None:
    """Else the tests above could not fail: the library's faster construction does miss tables."""
    rng = np.random.default_rng(0)
    tables = random_tables(rng, 8)
    fast = [constriction.stream.model.Categorical(tables.table(i) / TOTAL, perfect=False) for i in range(8)]
    found = [implied(model, int(size)) for model, size in zip(fast, tables.sizes, strict=True)]
    assert any(f != tables.table(i).tolist() for i, f in enumerate(found))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 60), max_size=4),
    st.sampled_from([0.0, 0.02, 0.5]),
    st.booleans(),
)
def test_the_bytes_are_those_of_the_specified_arithmetic(
    seed: int, counts: list[int], wide: float, falling: bool
) -> None:
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 5)
    batches = [batch(rng, tables, n, wide) for n in counts]
    data = encode(SymbolModels(tables), batches, falling)

    rows = reference_rows(tables)
    encoder = reference.RangeEncoder()
    for indices, symbols in batches:
        reference.encode_batch(encoder, rows, indices.tolist(), symbols.tolist(), falling)
    assert encoder.finish() == data

    decoder = reference.RangeDecoder(data)
    for indices, symbols in batches:
        assert reference.decode_batch(decoder, rows, indices.tolist(), falling) == symbols.tolist()
    assert decoder.at_end()


@pytest.mark.parametrize("words", [1, 2, 20])
def test_carries_run_through_words(words: int) -> None:
    """Symbols whose intervals all hold the number 80000000 00000000 … leave open whether the words begin with 7fffffff
    ffffffff … or with 80000000 00000000 …; the last symbol decides all of them at once."""
    tables = FrequencyTables.make([(0, np.array([0.3, 0.2, 0.4]))])
    models, rows = SymbolModels(tables), reference_rows(tables)
    follow = reference.RangeDecoder(b"\0\0\0\x80")
    symbols = []
    while follow.next <= words + 1:
        symbols += reference.decode_batch(follow, rows, [0])
    table = np.zeros(1, dtype=np.uint8)
    for last in (0, 1, 2, SYMBOL_LIMIT):
        plain = reference.RangeEncoder()
        for symbol in symbols:
            reference.encode_batch(plain, rows, [0], [symbol])
        assert plain.shifts >= words
        assert plain.low < 2 ** (63 + 32 * plain.shifts) < plain.low + plain.range
        for symbol in (last, 1, 1):
            reference.encode_batch(plain, rows, [0], [symbol])
        data = encode(models, [(table, np.array([s], dtype=np.int32)) for s in (*symbols, last, 1, 1)])
        assert plain.finish() == data
        decoder = SymbolDecoder(data)
        assert [decoder.get(models, table).item() for _ in range(len(symbols) + 3)] == [*symbols, last, 1, 1]
        decoder.finish()


def test_a_real_file_starts_with_the_symbols_that_the_arithmetic_gives(shipped_codec: Codec, picture) -> None:  # type: ignore[no-untyped-def]
    entropy = entropy_of(shipped_codec)
    stream = container.read(shipped_codec.encode(picture(64, 48), quality=40, progressive=False)).regions[0]
    assert stream
    tables = entropy.z_models.tables
    indices = np.arange(len(tables), dtype=np.uint16)  # 64 x 48 has one position of z
    expected = SymbolDecoder(stream).get(entropy.z_models, indices)
    found = reference.decode_batch(reference.RangeDecoder(stream), reference_rows(tables), indices.tolist())
    assert found == expected.tolist()
    assert any(found)


def test_the_example_of_the_format_page() -> None:
    tables = FrequencyTables(
        *(np.array(v, np.int32) for v in ([2**23, 2**22, 2**22, TOTAL - 1024, 1024], [3, 2], [0, -3]))
    )
    data = encode(SymbolModels(tables), [(np.array([1, 0, 0, 1, 0], np.uint8), np.array([-3, 0, 1, 7, -1], np.int32))])
    page = ROOT / "docs" / "format.md"
    assert f"as the bytes `{data.hex(' ')}`" in page.read_text()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 500)), max_size=6),
    st.sampled_from([0.0, 0.05, 1.0]),
    st.sampled_from([np.uint8, np.uint16]),
    st.booleans(),
)
def test_batches_come_back(seed: int, counts: list[int], wide: float, dtype: type, falling: bool) -> None:
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, int(rng.integers(1, 200)))
    models = SymbolModels(tables)
    batches: list[tuple[np.ndarray, np.ndarray]] = [
        (i.astype(dtype), s) for i, s in (batch(rng, tables, n, wide) for n in counts)
    ]
    data = encode(models, batches, falling)
    decoder = SymbolDecoder(data, falling)
    for indices, symbols in batches:
        assert np.array_equal(decoder.get(models, indices), symbols)
    decoder.finish()


@pytest.mark.parametrize("symbol", [-SYMBOL_LIMIT, -1, 0, 1, SYMBOL_LIMIT])
def test_a_single_symbol_comes_back(symbol: int) -> None:
    tables = FrequencyTables.make([(0, np.array([0.5, 0.5])), (-3, np.array([0.1]))])
    models = SymbolModels(tables)
    for table in (0, 1):
        indices = np.array([table], dtype=np.uint8)
        data = encode(models, [(indices, np.array([symbol], dtype=np.int32))])
        decoder = SymbolDecoder(data)
        assert decoder.get(models, indices).tolist() == [symbol]
        decoder.finish()
        assert len(data) <= 8


def test_nothing_takes_no_bytes() -> None:
    models = SymbolModels(gaussian_tables(SCALES))
    nothing = np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int32)
    assert encode(models, [nothing, nothing]) == b""
    decoder = SymbolDecoder(b"")
    assert len(decoder.get(models, nothing[0])) == 0
    decoder.finish()


def test_the_cost_is_that_of_the_tables() -> None:
    rng = np.random.default_rng(5)
    tables = gaussian_tables(SCALES)
    indices = rng.integers(0, len(SCALES), 20000).astype(np.uint8)
    symbols = np.rint(rng.normal(0, np.array(SCALES)[indices])).astype(np.int32)
    data = encode(SymbolModels(tables), [(indices, symbols)])
    bits = 0.0
    for table, symbol in zip(indices, symbols, strict=True):
        code = symbol - tables.lows[table]
        escaped = not 0 <= code < tables.sizes[table] - 1
        bits -= math.log2(tables.table(table)[-1 if escaped else code] / TOTAL) - 11 * escaped
    assert bits <= 8 * len(data) < bits * 1.0001 + 64


def coded() -> tuple[SymbolModels, list[tuple[np.ndarray, np.ndarray]], bytes]:
    rng = np.random.default_rng(7)
    models = SymbolModels(random_tables(rng, 20))
    batches = [batch(rng, models.tables, 200) for _ in range(3)]
    return models, batches, encode(models, batches)


def read(models: SymbolModels, batches: list[tuple[np.ndarray, np.ndarray]], data: bytes) -> bool:
    """Whether the symbols are those that were written; True and False are both fine, and so is CorruptFile."""
    decoder = SymbolDecoder(data)
    found = [decoder.get(models, indices) for indices, _ in batches]
    decoder.finish()
    for values in found:
        assert np.abs(values).max() <= SYMBOL_LIMIT
    return all(np.array_equal(f, s) for f, (_, s) in zip(found, batches, strict=True))


def test_damage_is_an_error_or_other_symbols() -> None:
    models, batches, data = coded()
    assert read(models, batches, data)
    rng = np.random.default_rng(8)
    errors = 0
    for _ in range(300):
        damaged = bytearray(data)
        # the last word may hold bits that decide nothing
        damaged[rng.integers(len(data) - 8)] ^= 1 << int(rng.integers(8))
        try:
            assert not read(models, batches, bytes(damaged))
        except CorruptFile:
            errors += 1
    assert errors > 250  # other symbols seldom end where the data do


def test_a_cut_is_an_error_or_other_symbols() -> None:
    models, batches, data = coded()
    for size in range(0, len(data) - 4, 4):
        with contextlib.suppress(CorruptFile):
            assert not read(models, batches, data[:size])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_an_error_or_symbols(data: bytes) -> None:
    models, batches, _ = coded()
    try:
        read(models, batches, data)
    except CorruptFile:
        pass
    else:
        assert len(data) % 4 == 0


@pytest.mark.parametrize("word", [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x80"])
def test_words_that_repeat_do_not_crash(word: bytes) -> None:
    models, batches, _ = coded()
    for count in (1, 2, 3, 100):
        with contextlib.suppress(CorruptFile):
            read(models, batches, word * count)


def test_leftover_words_are_seen() -> None:
    models, batches, data = coded()
    for more in (b"\0\0\0\0\0\0\0\0", b"\x12\x34\x56\x78" * 2, b"\0" * 400):
        with pytest.raises(CorruptFile, match="after the last symbol"):
            read(models, batches, data + more)
    with pytest.raises(CorruptFile, match="after the last symbol"):
        read(models, batches[:-1], data)
    with pytest.raises(CorruptFile, match="after the last symbol"):
        read(models, [], data)


def test_part_of_a_word_is_refused() -> None:
    for size in (1, 2, 3, 5):
        with pytest.raises(CorruptFile, match="multiple of 4"):
            SymbolDecoder(b"\0" * size)


def test_an_escape_below_the_limit_is_refused() -> None:
    """-1024 can be written in 11 bits, but the networks' bounds are proven for at most 1023."""
    tables = FrequencyTables.make([(0, np.array([0.5]))])
    plain = reference.RangeEncoder()
    plain.encode(1, tables.table(0).tolist())
    plain.encode(0, reference.ESCAPE_VALUES)
    with pytest.raises(CorruptFile, match="-1024"):
        SymbolDecoder(plain.finish()).get(SymbolModels(tables), np.zeros(1, dtype=np.uint8))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 80), max_size=4),
    st.sampled_from([0.0, 0.05, 1.0]),
    st.booleans(),
    st.binary(max_size=9),
)
def test_the_beginning_gives_what_the_specified_arithmetic_gives(
    seed: int, counts: list[int], wide: float, falling: bool, other: bytes
) -> None:
    """At any cut, and where other bytes follow the cut: the same symbols are known, and the others are zero."""
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 5)
    models, rows = SymbolModels(tables), reference_rows(tables)
    batches = [batch(rng, tables, n, wide) for n in counts]
    whole = encode(models, batches, falling)
    data = whole[: rng.integers(len(whole) + 1)] + other
    decoder, expected = SymbolDecoder(data, falling, cut=True), reference.RangeDecoder(data, cut=True)
    for indices, _ in batches:
        found = decoder.get(models, indices).tolist()
        assert found == reference.decode_batch(expected, rows, indices.tolist(), falling)
    decoder.finish()


def test_more_bytes_give_more_symbols() -> None:
    models, batches, whole = coded()
    symbols = np.concatenate([some for _, some in batches])
    known = []
    for size in range(0, len(whole) + 1, 3):
        decoder = SymbolDecoder(whole[:size], cut=True)
        found = np.concatenate([decoder.get(models, one) for one, _ in batches])
        assert np.array_equal(found[found != 0], symbols[found != 0])
        known.append(int((found != 0).sum()))
    assert known == sorted(known)
    assert known[0] == 0
    assert known[-1] > 0.95 * (symbols != 0).sum()


def test_an_escape_below_the_limit_ends_the_beginning() -> None:
    tables = FrequencyTables.make([(0, np.array([0.5]))])
    plain = reference.RangeEncoder()
    for code in (0, 1, 1, 0):
        plain.encode(code, tables.table(0).tolist())
    for value in (1024 + 300, 0):
        plain.encode(value, reference.ESCAPE_VALUES)
    models, places = SymbolModels(tables), np.zeros(4, dtype=np.uint8)
    decoder = SymbolDecoder(plain.finish() + bytes(16), cut=True)
    assert decoder.get(models, places).tolist() == [0, 300, 0, 0]
    assert decoder.get(models, places).tolist() == [0, 0, 0, 0]
