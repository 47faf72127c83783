"""Tables of words, and the one that comes with the package."""

from __future__ import annotations

import math

import pytest

from tacit.words.english import key_of
from tacit.words.table import SHIPPED, TermEntry, WordTable, read_table


def test_the_shipped_table_is_small_and_says_what_it_is_of() -> None:
    assert SHIPPED.stat().st_size <= 1_000_000
    table = read_table()
    assert table.captions > 200_000
    assert {"sources", "recipe"} <= table.card.keys()
    assert all(len(term.split(" ")) <= 2 and term == key_of(term) for term in table.entries)
    assert all(e.idf >= 1 and 0 <= e.noun <= 1 and 0 <= e.name <= 1 for e in table.entries.values())


def test_the_shipped_table_knows_nouns_names_and_pairs() -> None:
    table = read_table()

    def entry(term: str) -> TermEntry:
        found = table[term]
        assert found is not None, term
        return found

    nouns = [
        "man",
        "dog",
        "wave",
        "hydrant",
        "retriever",
        "building",
        "t-shirt",
        "surfboards",
        "giraffe",
        "broccoli",
        "half-pipe",
    ]
    others = [
        "red",
        "wearing",
        "golden",
        "runs",
        "jumps",
        "standing",
        "colorful",
        "is",
        "wooden",
        "smiling",
        "sits",
        "large",
    ]
    assert [w for w in nouns if entry(w).noun < 0.15] == []
    assert [w for w in others if entry(w).noun >= 0.15] == []
    assert [w for w in ["london", "santa", "asian", "wii", "paris", "american"] if entry(w).name < 0.5] == []
    assert [w for w in ["dog", "park", "stop", "red", "tower"] if entry(w).name > 0.3] == []
    assert all(table[pair] for pair in ("golden retriever", "fire hydrant", "tennis racket", "teddy bears"))
    assert table["dog runs"] is None
    assert entry("retriever").idf > entry("surfboard").idf > entry("dog").idf > entry("a").idf


def test_a_plural_is_as_common_as_its_singular() -> None:
    table = WordTable({"dog": TermEntry(2, 0.5, 0), "dogs": TermEntry(3, 0.2, 0.1)}, 10, {}, "")
    assert table["dogs"] == TermEntry(2, 0.2, 0.1)
    assert table["dog"] == TermEntry(2, 0.5, 0)
    assert WordTable({"dog": TermEntry(2, 0.5, 0)}, 10, {}, "")["dogs"] == TermEntry(2, 0.5, 0)


def test_levels_are_sublinear_tf_idf() -> None:
    table = WordTable({}, 100_000, {}, "")
    once = table.level(TermEntry(1 + math.log(50), 0, 0))
    assert once == pytest.approx(math.log(50) / math.log(2000))
    assert table.level(TermEntry(1 + math.log(5), 0, 0), 3) == pytest.approx(
        table.level(TermEntry(1 + math.log(5), 0, 0)) * (1 + math.log(3))
    )
    assert table.level(TermEntry(1.0, 0, 0)) == 0
    assert table.level(None) == 1
