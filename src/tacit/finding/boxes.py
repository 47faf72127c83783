"""Boxes as maps of what was found."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tacit.errors import InvalidInput
from tacit.finding.found import Found, FoundThing, nothing
from tacit.finding.maps import Map, pieces

SOURCE = "boxes"  # the cue that boxes are
STEP = 8  # pixels of an image for each place of a map
MOST = 1024  # places along a map's longer side

SEEN = 0.5  # a place of a map shows the thing from here on
SMALL = 0.25  # pieces below this part of the largest one's area are left out
MOST_PIECES = 12  # boxes of one thing; more become one box around all

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""
WholeBox = tuple[int, int, int, int]
"""Left, top, right and bottom in whole pixels."""


def map_of_boxes(boxes: Sequence[Box], width: int, height: int) -> Map:
    """Return what part of each place boxes cover, 0 to 1; a place of several boxes has the largest part.

    Args:
        boxes: Parts of the image; what lies beyond its border is cut off.
        width: Of the image, in pixels.
        height: Of the image, in pixels.

    Raises:
        InvalidInput: A box is none, or all of it is outside of the image.
    """
    step = max(STEP, max(width, height) / MOST)
    rows, columns = math.ceil(height / step), math.ceil(width / step)
    covered = np.zeros((rows, columns), np.float32)
    for box in boxes:
        left, top, right, bottom = clipped(box, width, height)
        across = _covered(columns, left * columns / width, right * columns / width)
        down = _covered(rows, top * rows / height, bottom * rows / height)
        covered = np.maximum(covered, np.outer(down, across))
    return covered


def found_in_boxes(boxes: Sequence[Box], width: int, height: int) -> Found:
    """Return what boxes say that was found: a thing for each of them, called by its place.

    Args:
        boxes: Parts of the image, as for `map_of_boxes`.
        width: Of the image, in pixels.
        height: Of the image, in pixels.

    Raises:
        InvalidInput: A box is none, or all of it is outside of the image.
    """
    if not boxes:
        return nothing()
    things = tuple(FoundThing(f"box {_text(box)}", (SOURCE,), map_of_boxes([box], width, height)) for box in boxes)
    return Found(map_of_boxes(boxes, width, height), things)


def clipped(box: Box, width: int, height: int) -> Box:
    """Return a box without what lies beyond the image's border.

    Raises:
        InvalidInput: The box is none, or all of it is outside of the image.
    """
    left, top, right, bottom = box
    if not all(map(math.isfinite, box)):
        raise InvalidInput(f"a box must be four numbers, got {_text(box)}")
    if right <= left or bottom <= top:
        raise InvalidInput(f"a box must be (left, top, right, bottom) with a width and a height, got {_text(box)}")
    inside = max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        raise InvalidInput(f"a box must be in the image of {width}x{height} pixels, got {_text(box)}")
    return inside


def usable(boxes: Sequence[Box], width: int, height: int) -> tuple[Box, ...]:
    """Return the boxes of which something is in an image; what detectors write is not always."""

    def is_usable(box: Box) -> bool:
        try:
            clipped(box, width, height)
        except InvalidInput:
            return False
        return True

    return tuple(box for box in boxes if is_usable(box))


def boxes_around(seen: Map, width: int, height: int) -> list[WholeBox]:
    """Return the boxes around the pieces of a thing, largest piece first; none where the map shows nothing.

    Args:
        seen: How likely each place shows the thing, 0 to 1 [h, w].
        width: The image's width in pixels.
        height: The image's height in pixels.
    """
    mask = seen > min(SEEN, float(seen.max()) / 2)
    labels = pieces(mask)
    areas = np.bincount(labels.ravel(), minlength=2)[1:]
    if not areas.any():
        return []
    large = [n + 1 for n in np.argsort(-areas, kind="stable") if areas[n] >= SMALL * areas.max()]
    masks = [labels == n for n in large] if len(large) <= MOST_PIECES else [np.isin(labels, large)]
    return [_around(one, width, height) for one in masks]


def _around(mask: np.ndarray, width: int, height: int) -> WholeBox:
    down, across = (np.nonzero(mask.any(axis=axis))[0].tolist() for axis in (1, 0))
    x, y = width / mask.shape[1], height / mask.shape[0]
    return (
        math.floor(across[0] * x),
        math.floor(down[0] * y),
        min(width, math.ceil((across[-1] + 1) * x)),
        min(height, math.ceil((down[-1] + 1) * y)),
    )


def _text(box: Box) -> str:
    return f"({', '.join(f'{edge:g}' for edge in box)})"


def _covered(places: int, low: float, high: float) -> Map:
    """Return what part of each of the places the part from low to high covers."""
    at = np.arange(places)
    part: Map = np.clip(np.minimum(at + 1, high) - np.maximum(at, low), 0, 1)
    return part.astype(np.float32)
