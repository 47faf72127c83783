"""What a metric is."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

import numpy as np

from tacit.errors import InvalidInput

Level = Literal["image", "set"]


class Metric(Protocol):
    """What every metric says of itself."""

    @property
    def name(self) -> str:
        """As in METRICS."""

    @property
    def unit(self) -> str:
        """dB, for instance; empty where there is none."""

    @property
    def protocol(self) -> str:
        """In one line, all that a number of it depends on: networks, scales, sizes, who computes it."""

    @property
    def higher_is_better(self) -> bool:
        """Otherwise lower is."""

    @property
    def smallest(self) -> int:
        """The least height and width in pixels."""

    @property
    def needs_caption(self) -> bool:
        """It compares with a text."""

    @property
    def level(self) -> Level:
        """ "image": an ImageMetric; "set": a SetMetric."""


class ImageMetric(Metric, Protocol):
    """One number for an image."""

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Of uint8 [H, W, 3] both.

        Raises:
            InvalidInput: other shapes or types, images below `smallest`, or no caption where one is needed.
        """


class SetMetric(Metric, Protocol):
    """One number for a set of images."""

    def update(self, reference: np.ndarray, decoded: np.ndarray) -> None:
        """Take in a pair, uint8 [H, W, 3] both.

        Raises:
            InvalidInput: other shapes or types, or images below `smallest`.
        """

    def compute(self) -> float:
        """Of all pairs so far.

        Raises:
            InvalidInput: too few of them.
        """


class Described:
    """The usual answers."""

    name: str
    unit: ClassVar[str] = ""
    protocol: str
    higher_is_better: ClassVar[bool] = False
    smallest: int = 1
    needs_caption: ClassVar[bool] = False

    def check(self, reference: np.ndarray, decoded: np.ndarray) -> None:
        """Both are images of one size, and large enough.

        Raises:
            InvalidInput: they are not.
        """
        if reference.shape != decoded.shape or reference.ndim != 3 or reference.shape[2] != 3:
            raise InvalidInput(f"{self.name} of {reference.shape} and {decoded.shape}: two images [H, W, 3] are needed")
        if reference.dtype != np.uint8 or decoded.dtype != np.uint8:
            raise InvalidInput(f"{self.name} of {reference.dtype} and {decoded.dtype}: uint8 is needed")
        height, width = reference.shape[:2]
        if min(height, width) < self.smallest:
            raise InvalidInput(f"{self.name} needs {self.smallest} pixels a side or more, not {width}x{height}")
