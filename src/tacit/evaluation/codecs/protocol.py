"""What the evaluation asks of a codec."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from tacit.evaluation.cost import Cost

Quality = float | str
"""A point of a codec's range: a number, or a name where a codec has fixed points."""

Pixels = np.ndarray
"""[H, W, 3] uint8, RGB."""

CaptionSource = Literal["none", "own", "swapped"]
"""Which caption a codec is given with an image: none, the image's own, or that of another image."""


class EvalCodec(Protocol):
    """A codec that writes a real file and reads it back.

    Instances are small, and can be sent to other processes.
    """

    @property
    def name(self) -> str:
        """The codec's name in results."""

    @property
    def suffix(self) -> str:
        """The suffix of its files, without the dot."""

    @property
    def qualities(self) -> tuple[Quality, ...]:
        """The qualities that are measured by default, by rising rate."""

    @property
    def step(self) -> float:
        """The smallest useful difference between two qualities that are numbers."""

    @property
    def captions(self) -> CaptionSource:
        """Which caption the codec is given with an image."""

    @property
    def is_own(self) -> bool:
        """Whether this is one of tacit's own models, which the report puts first."""

    @property
    def held_memory(self) -> int:
        """How many bytes a process needs for the codec between images, such as for weights."""

    def missing(self) -> str | None:
        """Return what has to be installed before the codec can be used, or None."""

    def settings(self) -> Mapping[str, Any]:
        """Return all that the files depend on besides image, caption and quality, for JSON.

        These are options, versions and hashes. They decide whether an earlier result is still valid.
        """

    def check(self, quality: Quality) -> Quality:
        """Return a quality in the form that results have it in.

        Raises:
            InvalidInput: The codec does not have this quality.
        """

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        """Encode an image into a file.

        Args:
            pixels: [H, W, 3] uint8, RGB.
            caption: The caption that the codec is given, if any.
            quality: One that `check` has returned.
            target: The file to write.
            threads: How many threads may be used.
        """

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        """Decode a file.

        Args:
            source: A file that `encode` has written.
            quality: The quality that it was encoded with.
            threads: How many threads may be used.

        Returns:
            The image, [H, W, 3] uint8, RGB; and what decoding cost.
        """

    def decode_unclamped(self, source: Path, quality: Quality, threads: int) -> np.ndarray | None:
        """Decode a file to floats that are neither clamped nor rounded, where the codec can do that.

        Returns:
            [H, W, 3] float32, about 0 to 1; or None if the codec only decodes to 8 bits.
        """


def quality_text(quality: Quality) -> str:
    """Return a quality as text, such as "28", "28.5", or its name."""
    return quality if isinstance(quality, str) else f"{quality:g}"
