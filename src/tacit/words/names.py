"""Proper names in captions: by a pipeline of spaCy, and by rule.

What finds them is chosen by name: "auto" is the best `en_core_web_*` that is installed, else "package", the small
pipeline that comes with tacit, else (where spaCy is not installed) "rules". Anything else is a pipeline that spaCy
can load: an installed one, or a folder.
"""

from __future__ import annotations

import importlib
import os
import re
import threading
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.errors import CorruptWeights, MissingExtra, UnknownModel
from tacit.words.english import DETERMINERS, FUNCTION, GENERAL, JOINERS, Token
from tacit.words.table import NOUN, WordTable

PACKAGE = Path(__file__).with_name("ner")
VARIABLE = "TACIT_NAMES"
SIZES = ("lg", "md", "sm", "trf")  # of en_core_web; trf last, for it wants a GPU
NUMBERS = frozenset("DATE TIME PERCENT MONEY QUANTITY ORDINAL CARDINAL".split())  # entities that are no names
PIECE = 20_000  # characters that a pipeline reads at once, for memory grows with them
ORDINARY = 0.3  # share of capitals below which a word of the table is no name by itself
NAME = 0.5  # and from which on it is one, if it begins with a capital
NAME_LOWER = 0.7  # and if it does not


@dataclass(frozen=True)
class Name:
    """A proper name: start and end character, and what says so, such as "LOC" or "capitals"."""

    start: int
    end: int
    kind: str


class Recognizer:
    """Names by a pipeline of spaCy, if there is one. about: the pipeline's name and version, or "rules".

    Raises:
        MissingExtra: a pipeline was asked for, and spaCy is not installed.
        UnknownModel: spaCy has no such pipeline.
        CorruptWeights: the package's pipeline cannot be read.
    """

    def __init__(self, source: str | os.PathLike[str] | None = None) -> None:
        asked = os.fspath(source or os.environ.get(VARIABLE) or "auto")
        self._nlp = None if asked == "rules" else _load(asked)
        meta = {} if self._nlp is None else self._nlp.meta
        self._lock = threading.Lock()
        self.about = f"{meta['lang']}_{meta['name']} {meta['version']}" if meta else "rules"

    def __call__(self, caption: str) -> list[Name]:
        """What the pipeline finds in a caption, in order; names as such are only what `names` makes of it."""
        if self._nlp is None:
            return []
        found: list[Name] = []
        # A pipeline is not made for several threads at once; what it learns of new words is let go in the end.
        with self._lock, self._nlp.memory_zone():
            for start, piece in _pieces(caption):
                found += [
                    Name(start + entity.start_char, start + entity.end_char, entity.label_)
                    for entity in self._nlp(piece).ents
                    if entity.label_ not in NUMBERS
                ]
        return found


def _load(asked: str) -> Any:
    """A pipeline, or None where "auto" finds no spaCy."""
    try:
        spacy: Any = importlib.import_module("spacy")
    except ImportError as error:
        if asked == "auto":
            return None
        raise MissingExtra(f"names by the pipeline {asked!r} need spaCy: pip install 'tacit[ner]'") from error
    source = asked
    if asked == "auto":
        installed = set(spacy.util.get_installed_models())
        source = next((n for size in SIZES if (n := f"en_core_web_{size}") in installed), "package")
    if source == "package":
        try:
            return spacy.load(PACKAGE)
        except (OSError, ValueError) as error:
            raise CorruptWeights(f"{PACKAGE}: {error}; reinstall tacit") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions: a pipeline that cannot be used says so by an error
            return spacy.load(source)
    except (OSError, ValueError, ImportError) as error:
        known = sorted({"auto", "package", "rules", *spacy.util.get_installed_models()})
        raise UnknownModel(
            f"pipeline of names {source!r} cannot be loaded by spaCy; there are {', '.join(known)}, and folders"
        ) from error


def _pieces(caption: str) -> Iterator[tuple[int, str]]:
    """The caption in runs of at most PIECE characters, cut at blanks where there are any, each with its start."""
    for match in re.finditer(rf"\S[\s\S]{{0,{PIECE - 1}}}(?=\s|$)|\S{{1,{PIECE}}}", caption):
        yield match.start(), match[0]


def names(words: Sequence[Token], found: Sequence[Name], table: WordTable) -> dict[int, str]:
    """Which of the words belong to proper names, by number, and what says so.

    found: what a pipeline found. It learnt from other texts than captions: what is neither capitalised inside a
    sentence nor unknown to the table is no name by its word alone.
    """
    telling = capitals_tell(words, table)
    capitals = telling and any(word.capital for word in words if not word.initial and word.key not in FUNCTION)
    kinds: dict[int, str] = {}
    starts, ends = [word.start for word in words], [word.end for word in words]
    for name in found:
        inside = range(bisect_right(ends, name.start), bisect_left(starts, name.end))
        content = [i for i in inside if words[i].key not in FUNCTION and not _ordinary_start(words[i], table)]
        if capitals:  # "an Asian dress" is no name of two words
            content = [i for i in content if words[i].capital or _may_be_name(words[i], table, telling)]
        if any(_may_be_name(words[i], table, telling) for i in content):
            kinds |= dict.fromkeys(content, name.kind)
    if telling:
        for run in _runs(words):
            run = run[_ordinary_start(words[run[0]], table) :]
            if len(run) > 1 or (run and _named(words[run[0]], table, NAME)):
                kinds |= {i: "capitals" for i in run if i not in kinds}
    for i, word in enumerate(words):
        # Captions in lower case, and beginnings of sentences.
        known = i not in kinds and table[word.key] is not None
        if known and word.key not in GENERAL and _named(word, table, NAME if word.capital else NAME_LOWER):
            kinds[i] = "table"
    return kinds


def capitals_tell(words: Sequence[Token], table: WordTable) -> bool:
    """Whether a capital letter inside a sentence means anything: not where words that are no names have them too, as in
    headlines and shouted captions."""
    ordinary = [w for w in words if not w.initial and not w.quoted and not _named(w, table, ORDINARY)]
    ordinary = [w for w in ordinary if w.key in FUNCTION or table[w.key] is not None]
    capital = sum(w.capital for w in ordinary)
    return capital < 3 or capital < 0.5 * len(ordinary)


def _ordinary_start(word: Token, table: WordTable) -> bool:
    """Whether a word begins a sentence, and for that alone with a capital: "Two Greek statues", "Smiling Tom Hanks"."""
    entry = table[word.key]
    known = entry is not None and entry.noun < NOUN and entry.name < ORDINARY
    return word.initial and (known or word.key in DETERMINERS)


def _may_be_name(word: Token, table: WordTable, telling: bool) -> bool:
    if telling and word.capital and not word.initial:
        return True
    return _named(word, table, ORDINARY)


def _named(word: Token, table: WordTable, share: float) -> bool:
    """Whether a word is one that the table does not have, or has with a capital in so many cases."""
    if word.key in FUNCTION or word.key.isdigit():
        return False
    entry = table[word.key]
    return entry is None or entry.name >= share


def _runs(words: Sequence[Token]) -> Iterator[list[int]]:
    """Numbers of words with a capital inside a sentence that follow each other, small words of names between them left
    out; a capital at the beginning of a sentence counts where another follows."""
    run: list[int] = []
    joining = False
    for i, word in enumerate(words):
        if run and not word.joined:
            yield from _ended(run, words)
            run, joining = [], False
        if word.capital and word.key not in FUNCTION:
            run.append(i)
            joining = False
        elif run and not joining and word.key in JOINERS:
            joining = True  # one or two of them: Church of the Holy Sepulchre
        elif run and not (joining and word.key in JOINERS):
            yield from _ended(run, words)
            run, joining = [], False
    yield from _ended(run, words)


def _ended(run: list[int], words: Sequence[Token]) -> Iterator[list[int]]:
    if run and not (len(run) == 1 and words[run[0]].initial):
        yield run
