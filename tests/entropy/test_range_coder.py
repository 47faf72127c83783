"""Our range coder and the library's write the same words, and read the same from any words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from support.pictures import synthetic
from tacit.entropy import coder, range_coder
from tacit.entropy.coder import SymbolDecoder, SymbolEncoder, SymbolModels
from tacit.entropy.tables import PRECISION, FrequencyTables
from tacit.errors import CorruptFile

LIBRARY = (constriction.stream.model, constriction.stream.queue)


def tables(rng: np.random.Generator) -> list[np.ndarray]:
    """Probabilities of tables, some with entries of the least frequency, and nearly certain ones."""
    found = []
    for size in (2, 5, 40):
        frequencies = 1 + rng.multinomial(2**PRECISION - size, rng.dirichlet(np.full(size, rng.choice([0.01, 0.5, 5]))))
        found.append(frequencies / 2**PRECISION)
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_words_are_those_of_the_library(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    ours, theirs = range_coder.RangeEncoder(), constriction.stream.queue.RangeEncoder()
    runs: list[tuple[Any, Any, np.ndarray]] = []
    for probabilities in tables(rng):
        entries = rng.integers(0, len(probabilities), count).astype(np.int32)  # unlikely ones as often as likely ones
        models = range_coder.Categorical(probabilities), LIBRARY[0].Categorical(probabilities, perfect=True)
        runs.append((*models, entries))
    uniform = rng.integers(0, 2048, count).astype(np.int32)
    runs.append((range_coder.Uniform(2048), LIBRARY[0].Uniform(2048), uniform))
    for model, other, entries in runs:
        ours.encode(entries, model)
        theirs.encode(entries, other)
        assert ours.pos()[0] == theirs.pos()[0]
    words = ours.get_compressed()
    assert words.dtype == np.uint32
    np.testing.assert_array_equal(words, theirs.get_compressed())
    np.testing.assert_array_equal(ours.clone().get_compressed(), words)

    decoder = range_coder.RangeDecoder(words)
    for model, _, entries in runs:
        np.testing.assert_array_equal(decoder.clone().decode(model, count), entries)
        np.testing.assert_array_equal(decoder.decode(model, count), entries)
    assert decoder.maybe_exhausted()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2**31, 2**32 - 2, 2**32 - 1]) | st.integers(0, 2**32 - 1), max_size=6))
def test_any_words_are_read_as_the_library_reads_them(values: list[int]) -> None:
    words = np.array(values, np.uint32)
    ours, theirs = range_coder.RangeDecoder(words), constriction.stream.queue.RangeDecoder(words)
    for probabilities in tables(np.random.default_rng(len(values))):
        model, other = range_coder.Categorical(probabilities), LIBRARY[0].Categorical(probabilities, perfect=True)
        for count in (1, 3):
            try:
                expected = theirs.decode(other, count)
            except AssertionError:
                with pytest.raises(ValueError, match="must have written the words"):
                    ours.decode(model, count)
                return
            np.testing.assert_array_equal(ours.decode(model, count), expected)
            assert ours.maybe_exhausted() == theirs.maybe_exhausted()


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in (("_models", range_coder), ("_queue", range_coder), ("_ESCAPED", range_coder.Uniform(2048))):
        monkeypatch.setattr(coder, name, module)


@pytest.mark.parametrize("falling", [False, True])
def test_a_file_is_the_same_with_either(falling: bool, request: pytest.FixtureRequest) -> None:
    rng = np.random.default_rng(7)
    rows = [(int(rng.integers(-30, 5)), rng.dirichlet(np.full(size, 0.3))) for size in (1, 8, 30)]
    frequencies = FrequencyTables.make(rows)
    indices, symbols = rng.integers(0, 3, 900).astype(np.uint8), rng.integers(-60, 60, 900).astype(np.int32)

    def encode() -> bytes:
        encoder = SymbolEncoder(falling)
        encoder.put(SymbolModels(frequencies), indices, symbols)
        return encoder.finish()

    def beginnings(data: bytes) -> list[np.ndarray]:
        return [
            SymbolDecoder(data[:size], falling, cut=True).get(SymbolModels(frequencies), indices)
            for size in range(0, len(data) + 1, 64)
        ]

    expected = encode()
    parts = beginnings(expected)
    request.getfixturevalue("without_library")
    assert encode() == expected
    decoder = SymbolDecoder(expected, falling)
    np.testing.assert_array_equal(decoder.get(SymbolModels(frequencies), indices), symbols)
    decoder.finish()
    for mine, theirs in zip(beginnings(expected), parts, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(CorruptFile, match="cannot have been written"):
        SymbolDecoder(b"\xff" * 16).get(SymbolModels(frequencies), indices)


@pytest.mark.slow
def test_files_are_the_same_where_the_library_is_not_installed(tiny_weights: Path, tmp_path: Path) -> None:
    Image.fromarray(synthetic(80, 60)).save(tmp_path / "a.png")
    script = f"""
import sys
if len(sys.argv) > 1:
    sys.modules["constriction"] = None
from tacit import Codec
codec = Codec({str(tiny_weights)!r})
data = codec.encode({str(tmp_path / "a.png")!r})
print(data.hex(), codec.decode(data).tobytes().hex())
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, *more], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for more in ([], ["without"])
    }
    assert len(outputs) == 1
