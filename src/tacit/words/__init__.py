"""Weights of a caption's words, from 1.0 to 1.5, for the encoder's attention to words.

    for word in weigh("a golden retriever at the Eiffel Tower"):
        print(word.text, word.weight, word.reason)

Rare words weigh more than common ones (TF-IDF in a corpus of captions), nouns more than others, proper names most.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from tacit.words.weigher import Weigher, Word

if TYPE_CHECKING:
    from tacit.text.caption_tokens import CaptionTokens
    from tacit.text.encoders import TextEncoder


def weigh(
    caption: str | None, *, names: str | None = None, table: str | os.PathLike[str] | None = None
) -> tuple[Word, ...]:
    """Return the words of a caption with their weights and the reasons.

    Args:
        caption: The caption; None has no words.
        names: What finds proper names, as for `Weigher`.
        table: A table of words, as for `Weigher`.

    Raises:
        InvalidInput: The caption is not a text, or the file is not a table.
        MissingExtra: A pipeline was asked for, and spaCy is not installed.
        UnknownModel: spaCy has no such pipeline.
        CorruptWeights: The package's pipeline cannot be read.
        PathError: The table cannot be read.
    """
    return shared_weigher(names, table)(caption)


def weighted(encoder: TextEncoder, caption: str | None, weigher: Weigher | None = None) -> CaptionTokens:
    """Return a caption's tokens [1, T, D] with its words' weights, as the models take them."""
    from tacit.words.token_weights import with_weights

    return with_weights(encoder([caption]), encoder, [caption], weigher or shared_weigher())


def shared_weigher(names: str | None = None, table: str | os.PathLike[str] | None = None) -> Weigher:
    """Return a weigher that is kept for the next call with the same arguments and environment.

    Args:
        names: What finds proper names, as for `Weigher`.
        table: A table of words, as for `Weigher`.
    """
    from tacit.words import recognizer, weigher

    table = table or os.environ.get(weigher.VARIABLE)
    return _weigher(names or os.environ.get(recognizer.VARIABLE), None if table is None else os.fspath(table))


@lru_cache(maxsize=4)
def _weigher(names: str | None, table: str | None) -> Weigher:
    return Weigher(names, table)


__all__ = ["Weigher", "Word", "shared_weigher", "weigh", "weighted"]
