"""Weights of words as weights of tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tacit.text.encoders import ClipEncoder, EmbeddedEncoder
from tacit.words import Weigher, weighted
from tacit.words.token_weights import token_weights, with_weights

CAPTION = "a spaniel at the Eiffel Tower"


@pytest.fixture(autouse=True)
def _by_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_NAMES", "rules")
    monkeypatch.delenv("TACIT_WORD_TABLE", raising=False)


@pytest.fixture(scope="module")
def weigher() -> Weigher:
    return Weigher("rules")


@pytest.fixture(scope="module")
def embedded() -> EmbeddedEncoder:
    return EmbeddedEncoder()


def test_every_piece_of_a_word_has_its_weight(embedded: EmbeddedEncoder, weigher: Weigher) -> None:
    caption = "An aye-aye, by Zo\u00eb's caf\u00e9 in Ouagadougou"
    pieces = [caption[a:b] for a, b in embedded.offsets(caption)]
    words = {w.text: w.weight for w in weigher(caption)}
    found = list(zip(pieces, token_weights(weigher(caption), embedded.offsets(caption)), strict=True))
    assert len(pieces) > len(words) + 3
    for piece, weight in found:
        of = [w for text, w in words.items() if piece in text]
        assert weight == (max(of) if of else 1.0), piece
    assert dict(found)[","] == 1.0
    assert dict(found)["An"] == 1.0
    assert {weight for piece, weight in found if piece in "Ouagadougou"} == {1.5}


def test_tokens_across_words_and_of_no_text() -> None:
    words = Weigher("rules")("red hydrant of Oslo")
    red, hydrant, of, oslo = (w.weight for w in words)
    assert red < hydrant < oslo
    assert of == 1
    offsets = [(0, 0), (0, 3), (2, 5), (4, 11), (11, 12), (12, 14), (0, 0), (15, 19), (19, 19)]
    assert token_weights(words, offsets) == [1, red, hydrant, hydrant, 1, of, 1, oslo, 1]
    assert token_weights((), [(0, 2)]) == [1]


def test_batches_and_absent_captions(embedded: EmbeddedEncoder, weigher: Weigher) -> None:
    captions = [CAPTION, None, "", "a of the"]
    found = with_weights(embedded(captions), embedded, captions, weigher)
    alone = weighted(embedded, CAPTION, weigher)
    length = alone.mask.sum()
    assert np.array_equal(found.weights[0, :length], alone.weights[0])
    assert alone.weights.max() == 1.5
    assert (found.weights[0, length:] == 1).all()
    assert (found.weights[1:] == 1).all()
    assert np.array_equal(found.embeddings, embedded(captions).embeddings)


@pytest.mark.slow
def test_clip_tokens(clip_folder: Path, weigher: Weigher) -> None:
    caption = "A dog at Oslo's dog"
    for published in (False, True):
        clip = ClipEncoder(clip_folder, published=published)
        found = weighted(clip, caption, weigher)
        pieces = [caption[a:b].strip() for a, b in clip.offsets(caption)]
        weights = dict(zip(pieces, found.weights[0][found.mask[0]].tolist(), strict=True))
        assert weights["O"] == weights["l"] == weights["'"] == pytest.approx(max(weights.values()))
        assert weights["A"] == weights["at" if "at" in weights else "a"] == 1 < weights["dog"] < weights["O"]
        assert weights.get("", 1.0) == 1.0
