"""The weights of a caption's words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class WeighedCaption:
    """The words of a caption with their weights."""

    words: list[dict[str, Any]]  # each word with its place, its weight, and the reason for the weight
    names: str  # what finds names in captions


def weigh_caption(caption: str) -> WeighedCaption:
    """Weigh the words of a caption, as `tacit weigh` does."""
    from tacit.words import shared_weigher

    weigher = shared_weigher()
    return WeighedCaption([asdict(word) for word in weigher(caption)], weigher.settings["names"])
