"""A caption as JSON or a table has it: a text, or something in which a text is clear."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping

from tacit.image import ConversionWarning

TEXT_KEYS = ("text", "caption", "value", "raw")
"""The names under which an object holds its text; `raw` is beside its tokens."""
_LANGUAGE = re.compile(r"x-default|[a-z]{2}(?:[-_][A-Za-z0-9]{1,8})*")
_NO_LANGUAGE = {"id", "no"}  # which are languages only beside others
_DEEPEST = 8  # levels of lists and objects


def caption_texts(value: object) -> tuple[list[str], list[object]]:
    """Find the texts in a value.

    Of a list, those of all its items are taken; of an object, what it has under a name of `TEXT_KEYS`, else, where all
    names are languages, the English text or the first. None and blank texts are nothing.

    Args:
        value: What stands in the place of a caption.

    Returns:
        The texts in order, and what is none: numbers, and objects in which no text is clear.
    """
    texts: list[str] = []
    unclear: list[object] = []
    _collect(value, texts, unclear, _DEEPEST)
    return texts, unclear


def usable_texts(values: Iterable[object], *, instead: str = "") -> tuple[str, ...]:
    """Return the texts in values of a data set, each once.

    A bad caption must not end a run over a large data set: where there is no text, but something that should be one,
    there is a `ConversionWarning`.

    Args:
        values: What stands in the places of captions.
        instead: A text that is the caption where the values have none; empty where there is none.
    """
    found = [caption_texts(value) for value in values]
    texts = tuple(dict.fromkeys(text for texts, _ in found for text in texts)) or ((instead,) if instead else ())
    if not texts and any(unclear for _, unclear in found):
        warnings.warn("a caption that is no text is left out", ConversionWarning, stacklevel=2)
    return texts


def _collect(value: object, texts: list[str], unclear: list[object], levels: int) -> None:
    if isinstance(value, str):
        if value.strip():
            texts.append(value)
    elif levels and isinstance(value, list | tuple):
        for item in value:
            _collect(item, texts, unclear, levels - 1)
    elif levels and isinstance(value, Mapping) and (key := _text_key(value)) is not None:
        _collect(value[key], texts, unclear, levels - 1)
    elif value is not None and value != {}:
        unclear.append(value)


def _text_key(value: Mapping[object, object]) -> object | None:
    """Return the name under which an object has its text, or None where that is not clear."""
    for key in TEXT_KEYS:
        if value.get(key) is not None:
            return key
    languages = [key for key in value if isinstance(key, str) and _LANGUAGE.fullmatch(key)]
    if len(languages) < len(value) or _NO_LANGUAGE.issuperset(languages):
        return None
    filled = [key for key in languages if value[key] not in (None, "")] or languages
    return min(filled, key=lambda key: 0 if key == "en" else 1 if key.startswith(("en-", "en_")) else 2)
