"""Recognition of named entities in captions by a pipeline of spaCy.

The pipeline is chosen by name: "auto" is the best `en_core_web_*` that is installed, else "package", the small
pipeline that comes with tacit, else (where spaCy is not installed) "rules", which is none. Anything else is a pipeline
that spaCy can load: an installed one, or a folder.
"""

from __future__ import annotations

import importlib
import os
import re
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.errors import CorruptWeights, MissingExtra, UnknownModel

PACKAGE = Path(__file__).with_name("ner")
VARIABLE = "TACIT_NAMES"
SIZES = ("lg", "md", "sm", "trf")  # of en_core_web; trf last, for it wants a GPU
NUMBERS = frozenset("DATE TIME PERCENT MONEY QUANTITY ORDINAL CARDINAL".split())  # entities that are no names
PIECE = 20_000  # characters that a pipeline reads at once, for memory grows with them


@dataclass(frozen=True)
class NamedEntity:
    """A piece of a caption that may be a proper name."""

    start: int
    """The position of its first character."""
    end: int
    """The position behind its last character."""
    kind: str
    """The pipeline's label, such as "LOC"."""


class Recognizer:
    """Finds named entities by a pipeline of spaCy, if there is one.

    Args:
        source: "auto", "package", "rules", or a pipeline that spaCy can load; None takes $TACIT_NAMES, else "auto".

    Attributes:
        description: The pipeline's name and version, or "rules".

    Raises:
        MissingExtra: A pipeline was asked for, and spaCy is not installed.
        UnknownModel: spaCy has no such pipeline.
        CorruptWeights: The package's pipeline cannot be read.
    """

    def __init__(self, source: str | os.PathLike[str] | None = None) -> None:
        name = os.fspath(source or os.environ.get(VARIABLE) or "auto")
        self._nlp = None if name == "rules" else _load(name)
        meta = {} if self._nlp is None else self._nlp.meta
        self._lock = threading.Lock()
        self.description = f"{meta['lang']}_{meta['name']} {meta['version']}" if meta else "rules"

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __call__(self, caption: str) -> list[NamedEntity]:
        """Return the entities in a caption, in order; `names.find_names` decides which of them are proper names."""
        if self._nlp is None:
            return []
        entities: list[NamedEntity] = []
        # A pipeline is not made for several threads at once; what it learns of new words is let go in the end.
        with self._lock, self._nlp.memory_zone():
            for start, piece in _pieces(caption):
                entities += [
                    NamedEntity(start + entity.start_char, start + entity.end_char, entity.label_)
                    for entity in self._nlp(piece).ents
                    if entity.label_ not in NUMBERS
                ]
        return entities


def _load(name: str) -> Any:
    """Load a pipeline; None where "auto" finds no spaCy."""
    try:
        spacy: Any = importlib.import_module("spacy")
    except ImportError as error:
        if name == "auto":
            return None
        raise MissingExtra(f"names by the pipeline {name!r} need spaCy: pip install 'tacit[ner]'") from error
    source = name
    if name == "auto":
        installed = set(spacy.util.get_installed_models())
        source = next((n for size in SIZES if (n := f"en_core_web_{size}") in installed), "package")
    if source == "package":
        try:
            return spacy.load(PACKAGE)
        except (OSError, ValueError) as error:
            raise CorruptWeights(f"{PACKAGE}: {error}; reinstall tacit") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions: a pipeline that cannot be used fails with an error
            return spacy.load(source)
    except (OSError, ValueError, ImportError) as error:
        known = sorted({"auto", "package", "rules", *spacy.util.get_installed_models()})
        raise UnknownModel(
            f"pipeline of names must be one of {', '.join(known)} or a folder that spaCy can load, got {source!r}"
        ) from error


def _pieces(caption: str) -> Iterator[tuple[int, str]]:
    """Yield the caption in runs of at most PIECE characters, cut at blanks if there are any, each with its start."""
    for match in re.finditer(rf"\S[\s\S]{{0,{PIECE - 1}}}(?=\s|$)|\S{{1,{PIECE}}}", caption):
        yield match.start(), match[0]
