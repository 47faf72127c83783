"""The cue of text in the scene: signs, labels, numbers and the words on things, by RapidOCR (the extra `find`)."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.extras import require
from tacit.finding.cue import Evidence
from tacit.finding.maps import Map, box_mask
from tacit.finding.phrases import Phrase, singular
from tacit.finding.view import View
from tacit.finding.vocabulary import TEXT

PACKAGE = "rapidocr"
WEIGHT, NEAR_WEIGHT = 3.0, 1.2  # of what is written, and of a thing that something is written on
UNLIKE = 0.15  # what a line counts that does not have the number or the word that is named
SURE = 0.7  # the least score of a line
_AROUND = {"sign": 0.6, "plate": 0.25, "label": 0.3, "logo": 0.3}  # of the text's height, to each side
_QUOTED = frozenset("word letter text name title number inscription".split())  # before what is written itself
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Line:
    """A line of text that is seen in an image."""

    text: str
    """The characters."""
    sides: tuple[float, float, float, float]
    """Left, top, right and bottom of the box around it, in shares of the image's sides."""
    score: float
    """How sure the reading is, 0 to 1."""


class TextCue:
    """Finds what is written in the scene."""

    name = "text"
    specific = True

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return where the text is; None where the phrase names none, or none is seen."""
        if not self.wanted(phrase):
            return None
        lines = lines_of(view)
        if not lines:
            return None
        words = set(_words(phrase))
        around = _AROUND.get(phrase.head, 0.15)
        seen: Map = np.zeros(view.shape, np.float32)
        read = [fits(line.text, words, phrase) for line in lines]
        for line, does_fit in zip(lines, read, strict=True):
            fit = line.score * (1 if does_fit else UNLIKE)
            left, top, right, bottom = line.sides
            height = bottom - top
            margin = around * height * view.shape[0] / view.shape[1], around * height
            box = (left - margin[0], top - margin[1], right + margin[0], bottom + margin[1])
            seen = np.maximum(seen, fit * box_mask(view.shape, box, soft=0.1))
        top = float(seen.max())
        if top == 0:
            return None
        return Evidence(seen / top, top * (WEIGHT if is_text(phrase) else NEAR_WEIGHT), is_sure=any(read))

    @staticmethod
    def installed() -> bool:
        """Return whether text can be read here."""
        return importlib.util.find_spec(PACKAGE) is not None

    @staticmethod
    def wanted(phrase: Phrase) -> bool:
        """Return whether a phrase names something that is written, or what something is written on."""
        return bool(phrase.numbers) or any(map(is_text, (phrase, *phrase.worn, *phrase.near)))


def is_text(phrase: Phrase) -> bool:
    """Return whether a phrase names something that is written."""
    return phrase.head in TEXT or _quotes(phrase) or (bool(phrase.numbers) and not phrase.head)


def fits(text: str, words: set[str], phrase: Phrase) -> bool:
    """Return whether a line has the number or word that a phrase names; any line does where it names none."""
    read = set(_WORD.findall(text.lower()))
    joined = "".join(_WORD.findall(text.lower()))
    if phrase.numbers:
        return any(number in joined for number in phrase.numbers)
    if phrase.head in ("number", "digit", "date", "price"):
        return any(character.isdigit() for character in text)
    named = {word for word in words if len(word) > 2}
    return not named or bool(named & read) or any(word in joined for word in named)


def lines_of(view: View) -> list[Line]:
    """Return the lines of text in an image; it is read once for a view."""
    if "lines" not in view.kept:
        view.kept["lines"] = read(view.pixels)
    lines: list[Line] = view.kept["lines"]
    return lines


def read(pixels: NDArray[np.uint8]) -> list[Line]:
    """Return the lines of text in pixels, uint8 [H, W, 3], from top to bottom.

    Raises:
        MissingExtra: RapidOCR is not installed.
    """
    height, width = pixels.shape[:2]
    result = _reader()(np.ascontiguousarray(pixels[:, :, ::-1]))
    if result.boxes is None:
        return []
    lines = []
    for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
        if score >= SURE:
            (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
            sides = (float(left) / width, float(top) / height, float(right) / width, float(bottom) / height)
            lines.append(Line(text, sides, float(score)))
    return sorted(lines, key=lambda line: (line.sides[1], line.sides[0]))


def require_reader() -> None:
    """Load what reads.

    Raises:
        MissingExtra: RapidOCR is not installed.
    """
    _reader()


def _words(phrase: Phrase) -> Iterator[str]:
    """Yield the words of a phrase that may stand in the scene: "exit" of "the exit sign", "ultimate" of "the word"."""
    for part in (phrase, *phrase.worn, *phrase.near):
        words = (*part.attributes[1:], part.head) if _quotes(part) else part.attributes if part.head in TEXT else ()
        for word in words:
            yield from _WORD.findall(word.lower())


def _quotes(phrase: Phrase) -> bool:
    """Return whether a phrase has what is written itself: "the word ultimate"."""
    return bool(phrase.attributes) and singular(phrase.attributes[0]) in _QUOTED


@lru_cache(maxsize=1)
def _reader() -> Any:
    library = require(PACKAGE, "text in the scene", "find")
    options = {"Global.log_level": "critical", "EngineConfig.onnxruntime.intra_op_num_threads": 1}
    return library.RapidOCR(params=options)
