"""The cue of place: "the left boat", "at the lower left", "in the background"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tacit.finding.cue import Evidence
from tacit.finding.maps import Map, pieces, smoothed
from tacit.finding.phrases import Phrase
from tacit.finding.view import View
from tacit.finding.vocabulary import ORDINALS, PLACES, SIDES

STEEPNESS = 3.0
SIDED = 8  # the power of the ramp towards a side, by which one box of several is chosen
NARROW = 128  # gaps of four of so many parts of the longer side do not part a thing
LARGE = 0.1  # pieces that have less than this part of what the largest one has are not chosen

Sides: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom in shares of the image's sides."""


class PlaceCue:
    """Prefers the side of the frame that is named."""

    name = "place"
    specific = False

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return a ramp towards the named side; None where no side is named."""
        ramp = place_map(view, phrase)
        return None if ramp is None else Evidence(ramp, 1.0)


def place_map(view: View, phrase: Phrase) -> Map | None:
    """Return how well each place fits the phrase's words for places, 0 to 1; None where it has none, or counts."""
    if not phrase.places or _rank(phrase):
        return None
    ramp = np.broadcast_to(_ramp(phrase, view.across, view.down), view.shape)
    scaled: Map = ramp / ramp.max()
    return scaled


def _ramp(phrase: Phrase, across: Map, down: Map) -> Map:
    """Return how well places, across and down in shares of the image, fit a phrase's words; not scaled."""
    ramp: Map = np.ones(np.broadcast_shapes(across.shape, down.shape), np.float32)
    for word in phrase.places:
        to_right, to_bottom = PLACES[word]
        if to_right == to_bottom == 0:
            ramp = ramp * (np.exp(-(((across - 0.5) / 0.3) ** 2)) * np.exp(-(((down - 0.5) / 0.4) ** 2)))
        else:
            along = to_right * (across - 0.5) + to_bottom * (down - 0.5)
            ramp = ramp * (1 / (1 + np.exp(-STEEPNESS * 2 * along)))
    return ramp


def placed(boxes: Sequence[tuple[float, Sides]], phrase: Phrase) -> int | None:
    """Return which of several boxes is the one that a phrase names by its place; None where it names none so.

    "The left boat" is one, and so is "the second boat from the left"; "the boats on the left" and "the boat in the
    background" may be several. The middle of three or more boxes is the one between the others.

    Args:
        boxes: Each with its score.
        phrase: The phrase.
    """
    sides = [word for word in phrase.places if word in SIDES]
    if not sides or phrase.many or not boxes:
        return None
    across, down = np.array([((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for _, box in boxes]).T
    rank = _rank(phrase)
    to_right, to_bottom = PLACES[sides[0]]
    if rank is not None and (to_right or to_bottom):
        order = np.argsort(-(to_right * across + to_bottom * down), kind="stable")
        return int(order[rank]) if rank < len(order) else None
    if len(boxes) > 2 and PLACES[sides[0]] == (0, 0):
        spread = across if np.ptp(across) >= np.ptp(down) else down
        return int(np.abs(spread - (spread.min() + spread.max()) / 2).argmin())
    fits = np.array([score for score, _ in boxes]) * _ramp(phrase, across, down) ** SIDED
    return int(fits.argmax())


def _rank(phrase: Phrase) -> int | None:
    """Return how many others of its kind are before the thing, from the side that is named; None if it is not said."""
    return next((ORDINALS[word] for word in phrase.attributes if word in ORDINALS), None)


def of_one(values: Map, phrase: Phrase) -> Map:
    """Return a thing's map without the pieces that are not the one which the phrase names by its place.

    Args:
        values: How likely each place shows the thing, 0 to 1 [h, w].
        phrase: The phrase.
    """
    seen = values > 0.5
    near = smoothed(seen.astype(np.float32), max(1, max(values.shape) // NARROW)) > 0
    labels = pieces(near) * seen  # a narrow gap does not part a thing
    mass = np.bincount(labels.ravel(), weights=values.ravel(), minlength=2)[1:]
    large = [int(n) + 1 for n in np.nonzero(mass > LARGE * mass.max())[0]] if mass.max() > 0 else []
    chosen = placed([(float(mass[n - 1]) ** 0.5, _sides(labels == n)) for n in large], phrase)
    if chosen is None:
        return values
    others = (labels > 0) & (labels != large[chosen])
    return np.where(smoothed(others.astype(np.float32), 1) > 0, 0.0, values).astype(np.float32)


def _sides(mask: NDArray[np.bool_]) -> Sides:
    """Return the box around what is in a mask, in shares of its sides."""
    down, across = (np.nonzero(mask.any(axis=axis))[0] for axis in (1, 0))
    height, width = mask.shape
    return across[0] / width, down[0] / height, (across[-1] + 1) / width, (down[-1] + 1) / height
