"""The cue of place: "the left boat", "at the lower left", "in the background"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tacit.finding.cue import Evidence
from tacit.finding.maps import Map
from tacit.finding.phrases import Phrase
from tacit.finding.view import View
from tacit.finding.vocabulary import PLACES

STEEPNESS = 3.0
SIDED = 8  # the power of the ramp towards a side, by which one box of several is chosen


class PlaceCue:
    """Prefers the side of the frame that is named."""

    name = "place"
    specific = False

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return a ramp towards the named side; None where no side is named."""
        ramp = place_map(view, phrase)
        return None if ramp is None else Evidence(ramp, 1.0)


def place_map(view: View, phrase: Phrase) -> Map | None:
    """Return how well each place fits the phrase's words for places, 0 to 1; None where it has none."""
    if not phrase.places:
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


def best_placed(
    boxes: Sequence[tuple[float, tuple[float, float, float, float]]], phrase: Phrase
) -> list[tuple[float, float, float, float]]:
    """Return the boxes of what a phrase names: the one on the side that it names, else all.

    Args:
        boxes: Each with its score; left, top, right and bottom in shares of the image.
        phrase: The phrase.
    """
    if not phrase.places or phrase.many or not boxes:
        return [box for _, box in boxes]

    def fit(scored: tuple[float, tuple[float, float, float, float]]) -> float:
        score, (left, top, right, bottom) = scored
        ramp = _ramp(phrase, np.array((left + right) / 2), np.array((top + bottom) / 2))
        return score * float(ramp) ** SIDED

    return [max(boxes, key=fit)[1]]
