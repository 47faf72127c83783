"""The interface that all captioners have: those that ask an endpoint and those that run a local model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from PIL import Image


class Captioner(Protocol):
    """Writes captions of images; several threads may call one at a time."""

    @property
    def model(self) -> str:
        """The model's name, for people and as a caption's source."""
        ...

    @property
    def settings(self) -> Mapping[str, str | int]:
        """Everything besides the image that decides an answer (model, prompt, ...); part of a cached answer's key."""
        ...

    def __call__(self, image: Image.Image) -> str:
        """Return the caption of an upright RGB image: one paragraph, ready for a `.tacit` file.

        Raises:
            CaptionerError: The captioner has no caption of this image.
            CaptionerUnusable: The captioner cannot caption any image.
        """
        ...

    def stop(self) -> None:
        """Make calls that wait in other threads give up with CaptionerError."""
        ...
