"""Finding where in an image the things are that a caption names.

    found = find("photo.jpg", "a red boat on the lake")
    found.map, found.found, found.missed

A caption is cut into phrases; several cues say where each one's thing may be, and their maps are fused. Nothing here
knows of the codec.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tacit.finding.finder import Finder, Found, FoundThing

if TYPE_CHECKING:
    from tacit.image.reading import ImageSource


def find(image: ImageSource, caption: str) -> Found:
    """Return where an image shows what a caption names.

    Args:
        image: Any image that `tacit.encode` takes.
        caption: The caption, or a phrase.

    Raises:
        InvalidInput: The image or the caption cannot be used.
        PathError: The image cannot be read.
    """
    from tacit.image.reading import load

    return _finder()(load(image).pixels, caption)


@lru_cache(maxsize=1)
def _finder() -> Finder:
    return Finder()


__all__ = ["Finder", "Found", "FoundThing", "find"]
