"""What the evaluation asks of a metric."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

import numpy as np

from tacit.errors import InvalidInput

Level = Literal["image", "set"]
"""Whether a metric is a number for each image or for a whole set of images."""


class Metric(Protocol):
    """What every metric tells about itself."""

    @property
    def name(self) -> str:
        """The metric's name in METRICS and in results."""

    @property
    def unit(self) -> str:
        """The unit, such as dB; empty where there is none."""

    @property
    def protocol(self) -> str:
        """All that a value depends on, in one line: networks, scales, sizes, and what computes it."""

    @property
    def higher_is_better(self) -> bool:
        """Whether higher values are better; otherwise lower ones are."""

    @property
    def smallest(self) -> int:
        """The smallest height and width in pixels that the metric accepts."""

    @property
    def needs_caption(self) -> bool:
        """Whether the metric compares the image with its caption."""

    @property
    def level(self) -> Level:
        """Whether this is an ImageMetric ("image") or a SetMetric ("set")."""


class ImageMetric(Metric, Protocol):
    """A metric that is a number for each image."""

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the metric's value.

        Args:
            reference: The original, [H, W, 3] uint8.
            decoded: The decoded image, of the same shape.
            caption: The image's caption, which some metrics need.

        Raises:
            InvalidInput: Other shapes or types, an image below `smallest`, or no caption where one is needed.
        """


class SetMetric(Metric, Protocol):
    """A metric that is a number for a whole set of images."""

    def update(self, reference: np.ndarray, decoded: np.ndarray) -> None:
        """Add an original and its decoded image, both [H, W, 3] uint8, to the set.

        Raises:
            InvalidInput: Other shapes or types, or an image below `smallest`.
        """

    def compute(self) -> float:
        """Return the metric's value for all pairs so far.

        Raises:
            InvalidInput: There are too few pairs.
        """


class MetricBase:
    """The usual values of a metric's properties, and the check of its arguments."""

    name: str
    unit: ClassVar[str] = ""
    protocol: str
    higher_is_better: ClassVar[bool] = False
    smallest: int = 1
    needs_caption: ClassVar[bool] = False

    def check(self, reference: np.ndarray, decoded: np.ndarray) -> None:
        """Check that both are images of one size, and large enough.

        Raises:
            InvalidInput: They are not.
        """
        if reference.shape != decoded.shape or reference.ndim != 3 or reference.shape[2] != 3:
            raise InvalidInput(
                f"{self.name} needs two images [H, W, 3] of one size, got {reference.shape} and {decoded.shape}"
            )
        if reference.dtype != np.uint8 or decoded.dtype != np.uint8:
            raise InvalidInput(f"{self.name} needs uint8 images, got {reference.dtype} and {decoded.dtype}")
        height, width = reference.shape[:2]
        if min(height, width) < self.smallest:
            raise InvalidInput(f"{self.name} needs {self.smallest} pixels a side or more, got {width}x{height}")


class ImageMetricBase(MetricBase):
    """The usual values of an ImageMetric's properties."""

    level: ClassVar[Literal["image"]] = "image"
