"""What tells where in an image the things of its caption are, so that both are written down together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PIL import Image


@dataclass(frozen=True)
class LabelledBox:
    """A box of an image, and what is in it."""

    phrase: str
    """The words for what is in it."""
    box: tuple[int, int, int, int]
    """Left, top, width and height in pixels of the upright image."""


class Boxer(Protocol):
    """Tells where the things of a caption are; several threads may call one at a time."""

    @property
    def reads_answers(self) -> bool:
        """Whether boxes come with a captioner's answer, so that a caption alone has none."""
        ...

    def __call__(self, image: Image.Image, answer: str) -> tuple[str, tuple[LabelledBox, ...]]:
        """Return the caption in a captioner's answer, and the boxes of what it names.

        Args:
            image: The upright RGB image.
            answer: The answer; the caption itself, unless boxes come with it.

        Raises:
            CaptionerError: The answer is none, or nobody can say where the things are.
        """
        ...
