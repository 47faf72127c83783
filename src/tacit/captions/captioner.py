"""What writes captions: the one interface that endpoints and local models share."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Protocol

from PIL import Image

from tacit.container import MAX_CAPTION
from tacit.errors import CaptionerError


class Captioner(Protocol):
    """An image in, a caption out. Called from several threads at a time."""

    @property
    def model(self) -> str:
        """The model's name, for people and as a caption's source."""
        ...

    @property
    def settings(self) -> Mapping[str, str | int]:
        """All that decides an answer besides the image (model, prompt, ...): with it, the key of a cached answer."""
        ...

    def __call__(self, image: Image.Image) -> str:
        """The caption of an upright RGB image: one paragraph, ready for a `.tacit` file.

        Raises: CaptionerError, for this image; CaptionerUnusable, for whatever image.
        """
        ...

    def stop(self) -> None:
        """Give up what is waiting, from another thread: it then raises CaptionerError."""
        ...


def tidy(answer: str) -> str:
    """A model's answer as a caption: one paragraph, without control characters.

    Raises: CaptionerError, where nothing is left or too much.
    """
    text = "".join(c for c in answer if c.isspace() or unicodedata.category(c) not in ("Cc", "Cs"))
    text = " ".join(text.split())
    if not text:
        raise CaptionerError("the answer is empty")
    if (size := len(text.encode())) > MAX_CAPTION:
        raise CaptionerError(f"the answer has {size:,} bytes, at most {MAX_CAPTION:,} are possible")
    return text
