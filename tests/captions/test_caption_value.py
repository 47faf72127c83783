"""Captions as JSON and tables have them."""

from __future__ import annotations

import json

import pytest

from tacit.captions.caption_value import caption_texts, usable_texts
from tacit.captions.sidecar import member_captions
from tacit.image import ConversionWarning

CLEAR = [
    (None, []),
    ("", []),
    (" a boat ", [" a boat "]),
    ([None, "a"], ["a"]),
    ([["a", "b"], []], ["a", "b"]),
    (("a", ""), ["a"]),
    ({"text": "a boat", "lang": "de"}, ["a boat"]),
    ({"text": None, "caption": "a"}, ["a"]),
    ({"value": ["a", None, "b"], "id": 3}, ["a", "b"]),
    ([{"text": "a"}, {"caption": "b"}, None], ["a", "b"]),
    ({"de": "ein Boot", "en": "a boat"}, ["a boat"]),
    ({"de": "ein Boot", "en-GB": "a boat", "en_US": "another"}, ["a boat"]),
    ({"zh-Hans": "船", "fr": "un bateau"}, ["船"]),
    ({"en": "", "fr": "un bateau"}, ["un bateau"]),
    ({"en": ["a", "b"]}, ["a", "b"]),
    ({"x-default": "a", "it": "b"}, ["a"]),
    ({"id": "perahu", "en": "a boat"}, ["a boat"]),
    ([{"raw": "a boat", "tokens": ["a", "boat"]}], ["a boat"]),
    ({}, []),
]
UNCLEAR = [3, True, 0.5, {"score": 0.5, "words": "a"}, {"id": "7"}, {"id": "7", "url": "x"}, [3], {"text": 3}]


@pytest.mark.parametrize(("value", "texts"), CLEAR, ids=str)
def test_a_clear_text_is_taken(value: object, texts: list[str]) -> None:
    assert caption_texts(value) == (texts, [])
    captions = tuple(texts)
    if isinstance(value, tuple):
        value = list(value)
    assert member_captions({"json": json.dumps({"caption": value}).encode()}) == captions
    assert member_captions({"json": json.dumps({"captions": value}).encode(), "txt": b"c"}) == (captions or ("c",))


@pytest.mark.parametrize("value", UNCLEAR, ids=str)
def test_what_is_no_clear_text_is_left_out_with_a_warning(value: object) -> None:
    texts, unclear = caption_texts(value)
    assert not texts
    assert len(unclear) == 1
    with pytest.warns(ConversionWarning, match="a caption that is no text is left out"):
        assert usable_texts([None, value]) == ()
    assert usable_texts([value, "a", "a"]) == ("a",)
    member = json.dumps({"caption": value}).encode()
    with pytest.warns(ConversionWarning, match="no text"):
        assert member_captions({"json": member}) == ()
    assert member_captions({"json": member, "txt": b"a boat"}) == ("a boat",)


def test_nesting_without_end_is_no_text() -> None:
    value: object = "a"
    for _ in range(500):
        value = [value]
    texts, unclear = caption_texts(value)
    assert (texts, len(unclear)) == ([], 1)
