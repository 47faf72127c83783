"""Tables of words that are made from captions."""

from __future__ import annotations

import gzip
import math
import sys
from pathlib import Path

import pytest

from tacit.errors import InvalidInput, MissingExtra, PathError
from tacit.words import Weigher, Word
from tacit.words.table import SHIPPED, read_table
from tacit.words.table_builder import build_table

CORPUS = [
    "a golden retriever on a beach", "the golden retriever is wet", "a man and a golden retriever in water",
    "a red boat on a lake", "two boats in Oslo", "a man walks to Oslo", "Oslo in winter", "the man of Oslo is old",
    "a golden retriever with a man", "a golden retriever in a boat",
]  # fmt: skip


def weights(words: tuple[Word, ...]) -> dict[str, float]:
    return {word.text: word.weight for word in words}


@pytest.mark.slow
def test_a_table_of_ones_own(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the extra tacit[words] is not installed")
    file = tmp_path / "mine.tsv.gz"
    file.write_bytes(build_table(CORPUS, {"sources": "mine"}))
    assert build_table([*CORPUS, CORPUS[0]], {"sources": "mine"}) == file.read_bytes()
    table = read_table(file)
    assert table.captions == len(CORPUS)
    assert table.card["sources"] == "mine"
    with_it = sum("retriever" in c for c in CORPUS)
    retriever = table["retriever"]
    assert retriever is not None
    assert retriever.idf == pytest.approx(1 + math.log((1 + len(CORPUS)) / (1 + with_it)), abs=1e-3)
    assert retriever.noun > 0.5
    assert table["golden retriever"] is not None
    assert table["golden"] is not None
    assert table["golden"].noun < 0.15
    assert table["oslo"] is not None
    assert table["oslo"].name > 0.5
    assert table["walks"] is None  # too rare to be counted
    mine = weights(Weigher("rules", file)("the man of Oslo is old"))
    assert mine["of"] == 1 < mine["man"] < mine["Oslo"]


def test_what_is_no_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bad.tsv.gz"
    good = gzip.decompress(SHIPPED.read_bytes())
    for data in (b"", b"text", gzip.compress(b"{}\n"), gzip.compress(good[:5000]), SHIPPED.read_bytes()[:5000]):
        file.write_bytes(data)
        with pytest.raises(InvalidInput, match="word-table"):
            read_table(file)
    with pytest.raises(PathError):
        read_table(tmp_path / "none")
    with pytest.raises(InvalidInput, match="must have a word that 3 captions share, got 2 captions"):
        build_table(["a", "b"], {})
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(MissingExtra, match=r"tacit\[words\]"):
        build_table(CORPUS, {})
