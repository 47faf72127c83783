"""The words of captions, and their keys."""

from __future__ import annotations

import pytest

from tacit.words.english import key_of, singular, tokenize


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("a dog's half-eaten hot-dog.", ["a", "dog's", "half-eaten", "hot-dog"]),
        ("the dogs\u2019 caf\u00e9, at 2.5 m", ["the", "dogs", "caf\u00e9", "at", "2.5", "m"]),
        ("cafe\u0301 na\u00efve", ["cafe\u0301", "na\u00efve"]),
        ("the U.S. flag at no. 1,000", ["the", "U.S.", "flag", "at", "no", "1,000"]),
        ("it's A&W_cola - \u201cone\u201d", ["it's", "A&W", "cola", "one"]),
        ("\u72ac \u0441\u043e\u0431\u0430\u043a\u0430 \U0001f436", ["\u72ac", "\u0441\u043e\u0431\u0430\u043a\u0430"]),
        ("", []),
        (" \t\n!?", []),
    ],
)
def test_words(caption: str, words: list[str]) -> None:
    found = tokenize(caption)
    assert [token.text for token in found] == words
    assert [caption[token.start : token.end] for token in found] == words


def test_keys() -> None:
    assert key_of("Dog\u2019s") == "dog"
    assert key_of("CAFE\u0301") == "caf\u00e9"
    assert key_of("it's") == "it's"
    assert key_of("half\u2010pipe") == "half-pipe"
    assert [singular(k) for k in ("dogs", "cherries", "dishes", "glass", "bus", "is", "a")] == [
        "dog", "cherry", "dish", None, None, None, None,
    ]  # fmt: skip


def test_sentences_begin_behind_full_stops_but_not_behind_abbreviations() -> None:
    found = {t.text for t in tokenize("A dog. Mr. Bean in St. Peter's! Then: J. K. Rowling\nThe end") if t.initial}
    assert found == {"A", "Mr", "Then", "J", "The"}
