"""What a corpus of captions says of words: how rare each is, and what it mostly is.

A table is text, compressed by gzip: a first line of JSON, its card, then a line for each term, with tabs between
the term, its inverse document frequency, and two shares in percent. A term is a word, or two with a blank between that
belong together ("golden retriever"). Reading one needs the standard library only; `tacit.words.building` makes them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.errors import InvalidInput, PathError
from tacit.words.english import singular

SHIPPED = Path(__file__).with_name("captions.tsv.gz")
FORMAT = "tacit words 1"
SPECIFIC = 1 / 2000  # of captions: a word in no more than these is as specific as words get
NOUN = 0.15  # share of a word's occurrences that end a noun phrase, from which on it is a noun


@dataclass(frozen=True)
class Entry:
    """A term. idf: 1 + ln((1 + captions) / (1 + captions with it)); noun: share of its occurrences that end a noun
    phrase; name: share that begin with a capital, inside a sentence; both 0 to 1."""

    idf: float
    noun: float
    name: float


@dataclass(frozen=True)
class WordTable:
    """captions: how many it was made from; card: what else is said of its making; sha256: of the file."""

    entries: Mapping[str, Entry]
    captions: int
    card: Mapping[str, Any]
    sha256: str

    def __getitem__(self, key: str) -> Entry | None:
        """What is known of a term; a plural that is not in the table, or is rarer, is as common as its singular."""
        found = self.entries.get(key)
        single = self.entries.get(singular(key) or "")
        if found is None or single is None:
            return found or single
        return Entry(min(found.idf, single.idf), found.noun, found.name)  # a verb, perhaps: jumps

    def level(self, entry: Entry | None, count: int = 1) -> float:
        """How much a term says, 0 to 1, by its TF-IDF in a caption that has it `count` times."""
        idf = 1 + math.log(1 + self.captions) if entry is None else entry.idf
        return min(1.0, (1 + math.log(count)) * (idf - 1) / -math.log(SPECIFIC))


def read_table(path: str | os.PathLike[str] = SHIPPED) -> WordTable:
    """Raises: PathError; InvalidInput, for what is no table."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PathError(f"{os.fspath(path)}: {error.strerror}") from error
    try:
        first, *lines = gzip.decompress(data).decode("utf-8").splitlines()
        card = json.loads(first)
        if card["format"] != FORMAT:
            raise ValueError(f"its format is {card['format']}")
        entries = {}
        for line in lines:
            term, idf, noun, name = line.split("\t")
            entries[term] = Entry(float(idf), int(noun) / 100, int(name) / 100)
        captions = int(card["captions"])
    except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
        raise InvalidInput(
            f"{os.fspath(path)}: not a table of words ({error}); `tacit word-table` makes them"
        ) from error
    return WordTable(entries, captions, card, hashlib.sha256(data).hexdigest())
