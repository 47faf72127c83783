"""Cutting a text into word pieces, as BERT's uncased tokenizer does."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

UNKNOWN = "[UNK]"
INNER = "##"  # before a piece that does not begin a word
LONGEST = 100  # characters of a word; a longer one is unknown
REMOVED = frozenset({"Cc", "Cf", "Co"})  # categories of characters that stand for nothing
# Each ideograph is a word of its own.
IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


@dataclass(frozen=True)
class WordPiece:
    """A piece of a word, and where it stands in the text."""

    number: int
    """The piece's number in the vocabulary."""
    start: int
    """The first of its characters."""
    stop: int
    """One behind the last of its characters."""


class WordPieces:
    """Cuts texts into the longest pieces that a vocabulary has, in lower case and without accents.

    Args:
        vocabulary: The number of each piece.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary

    def __call__(self, text: str) -> list[WordPiece]:
        """Return the pieces of a text; a word that cannot be made of pieces is one that is unknown."""
        return [piece for letters, places in _words(text) for piece in self._pieces(letters, places)]

    def _pieces(self, letters: str, places: list[int]) -> list[WordPiece]:
        """Return the pieces of a word, whose letters come from places in the text."""
        unknown = [WordPiece(self._vocabulary[UNKNOWN], places[0], places[-1] + 1)]
        if len(letters) > LONGEST:
            return unknown
        pieces: list[WordPiece] = []
        start = 0
        while start < len(letters):
            for stop in range(len(letters), start, -1):
                number = self._vocabulary.get((INNER if start else "") + letters[start:stop])
                if number is not None:
                    break
            else:
                return unknown
            pieces.append(WordPiece(number, places[start], places[stop - 1] + 1))
            start = stop
        return pieces


def _words(text: str) -> Iterator[tuple[str, list[int]]]:
    """Yield words and signs: the letters of each, and the places in the text where they come from."""
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for letter in _normalized(character):
            alone = letter == " " or _is_sign(letter)
            if alone and letters:
                yield "".join(letters), places
                letters, places = [], []
            if not alone:
                letters.append(letter)
                places.append(place)
            elif letter != " ":
                yield letter, [place]
    if letters:
        yield "".join(letters), places


def _normalized(character: str) -> str:
    """Return what a character counts as: letters in lower case without accents, a space, or nothing."""
    if character.isascii():
        if character in "\t\n\r ":
            return " "
        return character.lower() if character.isprintable() else ""
    if character == "\ufffd" or unicodedata.category(character) in REMOVED:
        return ""
    if character.isspace():
        return " "
    letters = unicodedata.normalize("NFD", character)
    plain = "".join(letter.lower() for letter in letters if unicodedata.category(letter) != "Mn")
    code = ord(character)
    return f" {plain} " if any(first <= code <= last for first, last in IDEOGRAPHS) else plain


def _is_sign(letter: str) -> bool:
    """Return whether a character is punctuation, or another sign of ASCII."""
    return letter in string.punctuation if letter.isascii() else unicodedata.category(letter).startswith("P")
