"""Weights of a caption's words: 1.0 for those that hold the sentence together, up to 1.5 for those that say what the
picture shows.

    proper names, and words in double quotation marks     1.4 to 1.5, by TF-IDF
    nouns, and pairs such as "golden retriever"           1.0 to 1.5, by TF-IDF
    other words: adjectives, verbs, numbers               1.0 to 1.25, by TF-IDF
    function words, and those that any caption has        1.0
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tacit.errors import InvalidInput
from tacit.words.english import CLOSERS, FUNCTION, GENERAL, NUMBERS, Token, tokens
from tacit.words.names import Recognizer, names
from tacit.words.table import NOUN, SHIPPED, Entry, WordTable, read_table

VARIABLE = "TACIT_WORD_TABLE"
MOST = 0.5  # what a weight can be above 1
NAMES_LEAST = 0.8  # of that, for names
OTHERS_MOST = 0.5  # of that, for words that are neither nouns nor names
FOREIGN = 0.5  # share of known words below which a caption is not in the table's language
FOREIGN_LEAST = 4  # words that tell
NOT_NOUNS = ("ing", "ed", "ly")


@dataclass(frozen=True)
class Word:
    """A word of a caption. start, end: its place, in characters; weight: 1.0 to 1.5; reason: why, in a few words."""

    text: str
    start: int
    end: int
    weight: float
    reason: str


class Weigher:
    """Weighs captions; deterministic for the same table, pipeline and libraries.

    names: what finds proper names: "auto", "package", "rules", or a pipeline that spaCy can load (`tacit.words.names`);
    $TACIT_NAMES if not given, else "auto". table: a table of words by `tacit word-table`; $TACIT_WORD_TABLE if not
    given, else the package's.

    Raises: MissingExtra, UnknownModel, CorruptWeights, PathError, InvalidInput.
    """

    def __init__(self, names: str | None = None, table: str | os.PathLike[str] | None = None) -> None:
        self._table = _table(Path(table or os.environ.get(VARIABLE) or SHIPPED))
        self._recognizer = Recognizer(names)

    @property
    def settings(self) -> Mapping[str, str]:
        """What the weights depend on besides the caption."""
        return {"table": self._table.sha256[:16], "names": self._recognizer.about}

    def __call__(self, caption: str | None) -> tuple[Word, ...]:
        """The words of a caption with their weights, in order; none of no caption. Raises: InvalidInput."""
        if not isinstance(caption, str | None):
            raise InvalidInput(f"caption: expected text or None, got {type(caption).__name__}")
        words = tokens(caption or "")
        if not words:
            return ()
        named = names(words, self._recognizer(caption or ""), self._table)
        pairs = _pairs(words, self._table)
        times = Counter(w.key for w in words)
        foreign = _foreign(words, self._table)
        if foreign:
            named = {i: kind for i, kind in named.items() if kind != "table"}
        found = []
        for i, word in enumerate(words):
            share, reason = self._weigh(i, words, named, pairs, times[word.key], foreign)
            found.append(Word(word.text, word.start, word.end, round(1 + MOST * share, 3), reason))
        return tuple(found)

    def _weigh(
        self,
        i: int,
        words: Sequence[Token],
        named: Mapping[int, str],
        pairs: Mapping[int, str],
        times: int,
        foreign: bool,
    ) -> tuple[float, str]:
        """How much word i matters, 0 to 1, and why."""
        word = words[i]
        if word.key in FUNCTION or (word.key in GENERAL and i not in named and not word.quoted):
            return 0.0, "function word" if word.key in FUNCTION else "says little"
        entry = self._table[word.key] or self._of_parts(word)
        level = self._table.level(entry, times)
        if i in named:
            return max(NAMES_LEAST, level), f"name ({named[i]})"
        if word.quoted:
            return max(NAMES_LEAST, level), "quoted"
        if foreign:
            return 0.0, "another language"
        if i in pairs:
            return max(level, self._table.level(self._table[pairs[i]], times)), f'"{pairs[i]}"'
        noun = _ends_phrase(i, words, self._table) if entry is None else entry.noun >= NOUN
        kind = "number" if word.key in NUMBERS or word.key[0].isdigit() else "noun" if noun else "word"
        how = "unknown" if entry is None else "rare" if level >= 0.75 else "common" if level < 0.4 else ""
        share = level if kind == "noun" else OTHERS_MOST * level
        return share, f"{how} {kind}".strip()

    def _of_parts(self, word: Token) -> Entry | None:
        """Of a word with hyphens that the table does not have whole: as rare as its rarest part, what its last is."""
        parts = [self._table[part] for part in word.key.split("-")]
        known = [entry for entry in parts if entry is not None]
        if len(parts) < 2 or not known:
            return None
        return Entry(max(entry.idf for entry in known), parts[-1].noun if parts[-1] else 0.0, 0.0)


def _pairs(words: Sequence[Token], table: WordTable) -> dict[int, str]:
    """Numbers of the words that belong to pairs of the table, with the pair; of two pairs the rarer."""
    found: dict[int, str] = {}
    for i in range(1, len(words)):
        pair = f"{words[i - 1].key} {words[i].key}"
        entry = table[pair] if words[i].joined else None
        for j in (i - 1, i):
            before = table[found[j]] if j in found else None
            if entry is not None and (before is None or before.idf < entry.idf):
                found[j] = pair
    return found


def _foreign(words: Sequence[Token], table: WordTable) -> bool:
    """Whether a caption is in another language than the table, so that to be in it or not says nothing of a word."""
    told = {w.key for w in words if not w.key[0].isdigit() and (w.initial or not w.capital)}
    known = sum(key in FUNCTION or table[key] is not None for key in told)
    return len(told) >= FOREIGN_LEAST and known < FOREIGN * len(told)


def _ends_phrase(i: int, words: Sequence[Token], table: WordTable) -> bool:
    """Whether an unknown word ends a noun phrase, by its neighbours and by its own ending."""
    if words[i].key != words[i].text.lower() and words[i].text[-2:] in ("'s", "\u2019s"):
        return True
    if words[i].key.endswith(NOT_NOUNS):
        return False
    after = words[i + 1] if i + 1 < len(words) and words[i + 1].joined else None
    if after is not None and after.key not in CLOSERS and after.key not in ("and", "or"):
        return False
    before = table[words[i - 1].key] if i and words[i].joined else None
    subject = before is not None and before.noun >= NOUN  # "sunlight glistens", "weeds grow"
    return not (subject and words[i].key.endswith("s") != words[i - 1].key.endswith("s"))


@lru_cache(maxsize=4)
def _table(path: Path) -> WordTable:
    return read_table(path)
