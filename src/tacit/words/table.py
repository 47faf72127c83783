"""Tables of words: how rare each word is in a corpus of captions, and what it mostly is.

A table is text, compressed by gzip: a first line of JSON, its card, then a line for each term, with tabs between
the term, its inverse document frequency, and two shares in percent. A term is a word, or two with a blank between that
belong together ("golden retriever"). Reading a table needs the standard library only; `tacit.words.table_builder` makes
tables.
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
class TermEntry:
    """What a table knows of a term."""

    idf: float
    """The inverse document frequency, 1 + ln((1 + captions) / (1 + captions that have the term))."""
    noun: float
    """The share of its occurrences that end a noun phrase, 0 to 1."""
    name: float
    """The share of its occurrences inside sentences that begin with a capital, 0 to 1."""


@dataclass(frozen=True)
class WordTable:
    """A table of words."""

    entries: Mapping[str, TermEntry]
    """The entries by term."""
    captions: int
    """The number of captions that the table was made from."""
    card: Mapping[str, Any]
    """What the table's first line says of its making."""
    sha256: str
    """The hash of the file, in hexadecimal."""

    def __getitem__(self, key: str) -> TermEntry | None:
        """Return what is known of a term; a plural that is rarer than its singular counts as equally common."""
        entry = self.entries.get(key)
        single = self.entries.get(singular(key) or "")
        if entry is None or single is None:
            return entry or single
        return TermEntry(min(entry.idf, single.idf), entry.noun, entry.name)  # a verb, perhaps: jumps

    def level(self, entry: TermEntry | None, count: int = 1) -> float:
        """Return how much a term tells, 0 to 1, by its TF-IDF in a caption that has it `count` times."""
        idf = 1 + math.log(1 + self.captions) if entry is None else entry.idf
        return min(1.0, (1 + math.log(count)) * (idf - 1) / -math.log(SPECIFIC))


def read_table(path: str | os.PathLike[str] = SHIPPED) -> WordTable:
    """Read a table of words.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The file is not a table.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PathError(f"{os.fspath(path)}: {error.strerror}") from error
    try:
        first, *lines = gzip.decompress(data).decode("utf-8").splitlines()
        card = json.loads(first)
        if card["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}, got {card['format']!r}")
        entries = {}
        for line in lines:
            term, idf, noun, name = line.split("\t")
            entries[term] = TermEntry(float(idf), int(noun) / 100, int(name) / 100)
        captions = int(card["captions"])
    except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
        raise InvalidInput(
            f"{os.fspath(path)}: not a table of words, as `tacit word-table` makes them ({error})"
        ) from error
    return WordTable(entries, captions, card, hashlib.sha256(data).hexdigest())
