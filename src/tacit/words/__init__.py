"""Which words of a caption matter: weights from 1.0 to 1.5, for the encoder's attention to words.

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
    from tacit.text.encoders import TextEncoder
    from tacit.text.tokens import TextTokens


def weigh(
    caption: str | None, *, names: str | None = None, table: str | os.PathLike[str] | None = None
) -> tuple[Word, ...]:
    """The words of a caption with their weights and the reasons. names, table: as `Weigher` takes them.

    Raises: InvalidInput, MissingExtra, UnknownModel, CorruptWeights, PathError.
    """
    return shared_weigher(names, table)(caption)


def weighted(encoder: TextEncoder, caption: str | None, weigher: Weigher | None = None) -> TextTokens:
    """A caption's tokens [1, T, D] with its words' weights, as the models take them."""
    from tacit.words.tokens import with_weights

    return with_weights(encoder([caption]), encoder, [caption], weigher or shared_weigher())


def shared_weigher(names: str | None = None, table: str | os.PathLike[str] | None = None) -> Weigher:
    """A weigher, kept for the next call with the same arguments and environment."""
    from tacit.words import names as recognition
    from tacit.words import weigher

    chosen = names or os.environ.get(recognition.VARIABLE), table or os.environ.get(weigher.VARIABLE)
    return _weigher(chosen[0], None if chosen[1] is None else os.fspath(chosen[1]))


@lru_cache(maxsize=4)
def _weigher(names: str | None, table: str | None) -> Weigher:
    return Weigher(names, table)


__all__ = ["Weigher", "Word", "shared_weigher", "weigh", "weighted"]
