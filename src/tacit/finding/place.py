"""The cue of place: "the left boat", "at the lower left", "in the background"."""

from __future__ import annotations

import numpy as np

from tacit.finding.cue import Evidence
from tacit.finding.maps import Map
from tacit.finding.phrases import Phrase
from tacit.finding.view import View
from tacit.finding.vocabulary import PLACES

STEEPNESS = 3.0


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
    ramp = np.ones(view.shape, np.float32)
    for word in phrase.places:
        across, down = PLACES[word]
        if across == down == 0:
            ramp *= np.exp(-(((view.across - 0.5) / 0.3) ** 2)) * np.exp(-(((view.down - 0.5) / 0.4) ** 2))
        else:
            along = across * (view.across - 0.5) + down * (view.down - 0.5)
            ramp *= 1 / (1 + np.exp(-STEEPNESS * 2 * along))
    scaled: Map = ramp / ramp.max()
    return scaled
