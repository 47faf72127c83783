"""Word pieces are those of the tokenizer that the embedded encoder was distilled with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

import tacit.text
from support.odd_captions import ODD
from tacit.text.encoders.encoder import clean_text
from tacit.text.encoders.word_pieces import WordPieces

FILE = Path(tacit.text.__path__[0]) / "embedded-tokenizer.json"
REFERENCE = Tokenizer.from_file(str(FILE))
CUT = WordPieces(json.loads(FILE.read_text("utf-8"))["model"]["vocab"])
# Later characters, and U+061D, are assigned in one version of Unicode and not in another.
CHARACTERS = st.characters(
    max_codepoint=0x7B0, exclude_categories=("Cn", "Cs"), exclude_characters="\u061d"
) | st.sampled_from("猫日一가Ａﬁ“”—…€\u2009\u3000\u200b\ufffd\ufeff🐶🛶é́ǅİßẞΣς")


def equal(text: str) -> None:
    expected = REFERENCE.encode(text)
    pieces = CUT(text)
    assert [piece.number for piece in pieces] == expected.ids
    assert [(piece.start, piece.stop) for piece in pieces] == expected.offsets


@pytest.mark.parametrize("kind", ODD)
def test_odd_captions(kind: str) -> None:
    equal(clean_text(ODD[kind]))


@given(st.text(CHARACTERS, max_size=40))
@example("A café's unbelievably-overgrown courtyard, 3.5 m² (1920s)")
@example("x" * 100 + " " + "x" * 101)
@example("\x1c\x85a\u0301b")
@settings(max_examples=400, deadline=None)
def test_any_text(text: str) -> None:
    equal(text)


@given(st.text(st.sampled_from("aeinorst' -,#é"), max_size=60))
@settings(max_examples=200, deadline=None)
def test_words_and_signs(text: str) -> None:
    equal(text)
