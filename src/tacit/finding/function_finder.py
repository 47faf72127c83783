"""A finder that is somebody's function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tacit.errors import InvalidInput
from tacit.finding.boxes import Box, map_of_boxes
from tacit.finding.found import Found, FoundThing, nothing
from tacit.finding.maps import Map

FinderFunction: TypeAlias = Callable[[NDArray[np.uint8], str], "Found | Map | Sequence[Box] | None"]
"""Takes pixels [H, W, 1 or 3] and a caption; gives what was found, or a map, 0 to 1 [h, w] over the image, or boxes
(left, top, right, bottom) in pixels. None and no boxes are nothing."""


class FunctionFinder:
    """Finds what a function finds.

    Args:
        function: The function; where encodings run in several processes, it must be one that can be pickled.
    """

    def __init__(self, function: FinderFunction) -> None:
        self.function = function
        named = function if hasattr(function, "__qualname__") else type(function)
        self.name = f"{named.__module__}.{named.__qualname__}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The function's name."""
        return {"finder": self.name}

    def __call__(self, pixels: NDArray[np.uint8], caption: str) -> Found:
        """Return what the function finds of a caption.

        Args:
            pixels: The image, uint8 [H, W, 1 or 3].
            caption: The caption.

        Raises:
            InvalidInput: The function gives something else than it should.
        """
        given = self.function(pixels, caption)
        if isinstance(given, Found):
            return given
        height, width = pixels.shape[:2]
        if given is None or (isinstance(given, Sequence) and not given):
            return nothing([caption])
        values = self._checked(given) if isinstance(given, np.ndarray) else self._of_boxes(given, width, height)
        return Found(values, (FoundThing(caption, (self.name,), values),))

    def _checked(self, values: Map) -> Map:
        if values.ndim != 2 or not values.size:
            raise InvalidInput(f"the map of a finder must be [h, w], got shape {list(values.shape)} from {self.name}")
        if not ((values >= 0) & (values <= 1)).all():
            raise InvalidInput(f"the map of a finder must be 0 to 1, got other values from {self.name}")
        return values.astype(np.float32)

    def _of_boxes(self, given: Sequence[Box], width: int, height: int) -> Map:
        try:
            boxes = [(float(left), float(top), float(right), float(bottom)) for left, top, right, bottom in given]
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                "a finder must give a map, boxes of four numbers, or a Found, "
                f"got {type(given).__name__} from {self.name}"
            ) from error
        return map_of_boxes(boxes, width, height)
