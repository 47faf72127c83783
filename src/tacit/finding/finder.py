"""What a finder is: a way of telling where in an image a caption's things are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tacit.finding.found import Found


@runtime_checkable
class Finder(Protocol):
    """A way of telling where in an image a caption's things are; copies of it can be sent to other processes."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides the results besides the image and the caption, as values that JSON has; its name is `finder`."""

    def __call__(self, pixels: NDArray[np.uint8], caption: str) -> Found:
        """Return what is found of a caption.

        Args:
            pixels: The image, uint8 [H, W, 1 or 3].
            caption: The caption; one that names nothing finds nothing.
        """
