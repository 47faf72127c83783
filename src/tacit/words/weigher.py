"""Weights of a caption's words, from 1.0 for function words to 1.5 for those that tell what the image shows.

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
from tacit.words.english import CLOSERS, FUNCTION, GENERAL, NUMBERS, Token, tokenize
from tacit.words.names import find_names
from tacit.words.recognizer import Recognizer
from tacit.words.table import NOUN, SHIPPED, TermEntry, WordTable, read_table

VARIABLE = "TACIT_WORD_TABLE"
MOST = 0.5  # what a weight can be above 1
NAMES_LEAST = 0.8  # share of MOST that names have at least
OTHERS_MOST = 0.5  # share of MOST that words have at most that are neither nouns nor names
FOREIGN = 0.5  # share of known words below which a caption is not in the table's language
FOREIGN_LEAST = 4  # words that this is judged by, at least
NOT_NOUNS = ("ing", "ed", "ly")


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a caption with its weight."""

    text: str
    """The word as the caption has it."""
    start: int
    """The position of its first character."""
    end: int
    """The position behind its last character."""
    weight: float
    """1.0 to 1.5."""
    reason: str
    """Why the word has this weight, in a few words."""


class Weigher:
    """Weighs the words of captions; the same table, pipeline and libraries give the same weights.

    Args:
        names: What finds proper names: "auto", "package", "rules", or a pipeline that spaCy can load
            (`tacit.words.recognizer`); None takes $TACIT_NAMES, else "auto".
        table: A table of words by `tacit word-table`; None takes $TACIT_WORD_TABLE, else the package's.

    Raises:
        MissingExtra: A pipeline was asked for, and spaCy is not installed.
        UnknownModel: spaCy has no such pipeline.
        CorruptWeights: The package's pipeline cannot be read.
        PathError: The table cannot be read.
        InvalidInput: The file is not a table.
    """

    def __init__(self, names: str | None = None, table: str | os.PathLike[str] | None = None) -> None:
        self._table = _read_table(Path(table or os.environ.get(VARIABLE) or SHIPPED))
        self._recognizer = Recognizer(names)

    @property
    def settings(self) -> Mapping[str, str]:
        """What the weights depend on besides the caption."""
        return {"table": self._table.sha256[:16], "names": self._recognizer.description}

    def __call__(self, caption: str | None) -> tuple[Word, ...]:
        """Return the words of a caption with their weights, in order; None has no words.

        Raises:
            InvalidInput: The caption is not a text.
        """
        if not isinstance(caption, str | None):
            raise InvalidInput(f"a caption must be a text or None, got {type(caption).__name__}")
        tokens = tokenize(caption or "")
        if not tokens:
            return ()
        names = find_names(tokens, self._recognizer(caption or ""), self._table)
        pairs = _pairs(tokens, self._table)
        times = Counter(token.key for token in tokens)
        foreign = _is_foreign(tokens, self._table)
        if foreign:
            names = {i: kind for i, kind in names.items() if kind != "table"}
        words = []
        for i, token in enumerate(tokens):
            share, reason = self._weigh(i, tokens, names, pairs, times[token.key], foreign)
            weight = round(1 + MOST * share, 3)
            words.append(Word(text=token.text, start=token.start, end=token.end, weight=weight, reason=reason))
        return tuple(words)

    def _weigh(
        self,
        i: int,
        tokens: Sequence[Token],
        names: Mapping[int, str],
        pairs: Mapping[int, str],
        times: int,
        foreign: bool,
    ) -> tuple[float, str]:
        """Return how much a word matters, 0 to 1, and why.

        Args:
            i: The word's number.
            tokens: The words of the caption.
            names: The words that belong to names, with the kind.
            pairs: The words that belong to pairs, with the pair.
            times: How often the caption has the word.
            foreign: Whether the caption is in another language than the table.
        """
        word = tokens[i]
        if word.key in FUNCTION or (word.key in GENERAL and i not in names and not word.quoted):
            return 0.0, "function word" if word.key in FUNCTION else "says little"
        entry = self._table[word.key] or self._entry_of_parts(word)
        level = self._table.level(entry, times)
        if i in names:
            return max(NAMES_LEAST, level), f"name ({names[i]})"
        if word.quoted:
            return max(NAMES_LEAST, level), "quoted"
        if foreign:
            return 0.0, "another language"
        if i in pairs:
            return max(level, self._table.level(self._table[pairs[i]], times)), f'"{pairs[i]}"'
        noun = _ends_phrase(i, tokens, self._table) if entry is None else entry.noun >= NOUN
        kind = "number" if word.key in NUMBERS or word.key[0].isdigit() else "noun" if noun else "word"
        how = "unknown" if entry is None else "rare" if level >= 0.75 else "common" if level < 0.4 else ""
        share = level if kind == "noun" else OTHERS_MOST * level
        return share, f"{how} {kind}".strip()

    def _entry_of_parts(self, word: Token) -> TermEntry | None:
        """Return an entry for a word with hyphens that the table lacks: as rare as its rarest part."""
        parts = [self._table[part] for part in word.key.split("-")]
        known = [entry for entry in parts if entry is not None]
        if len(parts) < 2 or not known:
            return None
        return TermEntry(max(entry.idf for entry in known), parts[-1].noun if parts[-1] else 0.0, 0.0)


def _pairs(words: Sequence[Token], table: WordTable) -> dict[int, str]:
    """Return the numbers of the words that belong to pairs of the table, with the pair; the rarer one of two pairs."""
    pairs: dict[int, str] = {}
    for i in range(1, len(words)):
        pair = f"{words[i - 1].key} {words[i].key}"
        entry = table[pair] if words[i].joined else None
        for j in (i - 1, i):
            before = table[pairs[j]] if j in pairs else None
            if entry is not None and (before is None or before.idf < entry.idf):
                pairs[j] = pair
    return pairs


def _is_foreign(words: Sequence[Token], table: WordTable) -> bool:
    """Return whether a caption is in another language than the table, which then tells nothing of its words."""
    keys = {w.key for w in words if not w.key[0].isdigit() and (w.initial or not w.capital)}
    known = sum(key in FUNCTION or table[key] is not None for key in keys)
    return len(keys) >= FOREIGN_LEAST and known < FOREIGN * len(keys)


def _ends_phrase(i: int, words: Sequence[Token], table: WordTable) -> bool:
    """Return whether an unknown word ends a noun phrase, by its neighbours and by its own ending."""
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
def _read_table(path: Path) -> WordTable:
    return read_table(path)
