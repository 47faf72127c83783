"""Where in an image the things are that an encoding keeps, as boxes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tacit.codec.keep import Keep, KeepWarning
from tacit.errors import InvalidInput, NotFound
from tacit.finding import Found
from tacit.finding.boxes import boxes_around
from tacit.image import Raster
from tacit.image.ssimulacra2 import SMALLEST

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Place:
    """A box that an encoding keeps."""

    keep: Keep
    """What was asked for."""
    box: Box
    """Left, top, right and bottom in pixels."""
    cues: tuple[str, ...] = ()
    """What it was found by; empty where the box was given."""


def find_places(
    keeps: Sequence[Keep], raster: Raster, find: Callable[[Raster, str], Found], *, best_effort: bool = False
) -> list[Place]:
    """Return the boxes of what is to be kept; a phrase has one for each place where the thing is.

    Args:
        keeps: What is to be kept.
        raster: The image.
        find: Finds what a phrase names.
        best_effort: Whether a phrase for nothing in the image is left out, with a KeepWarning, rather than an error.

    Raises:
        NotFound: The image shows nothing that a phrase names.
        InvalidInput: A box is not inside the image, or too small for its measure.
    """
    places = []
    for keep in dict.fromkeys(keeps):  # what is asked for twice is kept once
        if keep.box is not None:
            places.append(Place(keep, keep.box))
            continue
        found, missing = _places(keep, raster, find)
        places += found
        if missing is not None and not best_effort:
            raise missing
        if missing is not None:
            warnings.warn(KeepWarning(str(missing)), stacklevel=2)
    for place in places:
        _check(place, raster)
    return places


def _places(keep: Keep, raster: Raster, find: Callable[[Raster, str], Found]) -> tuple[list[Place], NotFound | None]:
    """Return the boxes of what a phrase names, and what is to be said where some of it is not found."""
    assert keep.phrase is not None
    places, missed = [], []
    found = find(raster, keep.phrase)
    for thing in found.things:
        around = [] if thing.map is None else boxes_around(thing.map, raster.width, raster.height)
        if around and thing.sure:
            places += [Place(keep, box, thing.cues) for box in around]
        elif around:
            left, top, right, bottom = around[0]
            missed.append(f"{thing.phrase!r} (perhaps at {left},{top},{right - left},{bottom - top})")
        else:
            missed.append(repr(thing.phrase))
    if missed or not places:
        names = " and ".join(missed) or repr(keep.phrase)
        advice = "name it in other words, or give its box" + (f"; {found.hint}" if found.hint else "")
        surely = "surely " if any(thing.map is not None and not thing.sure for thing in found.things) else ""
        return places, NotFound(f"{names} cannot be {surely}found in the image: {advice}")
    return places, None


def _check(place: Place, raster: Raster) -> None:
    left, top, right, bottom = place.box
    if right > raster.width or bottom > raster.height:
        raise InvalidInput(
            f"{place.keep.what} must be inside the image of {raster.width}x{raster.height} pixels, "
            f"got right edge {right}, bottom edge {bottom}"
        )
    if place.keep.measure == "ssimulacra2" and min(right - left, bottom - top) < SMALLEST:
        raise InvalidInput(
            f"{place.keep.what} must be {SMALLEST} pixels a side or more for SSIMULACRA 2, "
            f"got {right - left}x{bottom - top}"
        )
