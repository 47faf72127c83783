"""The cue of colour: the piece of the image that has most of the named colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tacit.finding.cue import Evidence
from tacit.finding.maps import Map, pieces, smoothed
from tacit.finding.phrases import Phrase
from tacit.finding.place import place_map
from tacit.finding.view import View

LEAST = 0.002  # share of the image that must have the colour
WHITE_BELOW, DIMMEST_WHITE = 12.0, 50.0  # lightness below the image's lightest that is white, and the least
TINTED = 0.6  # how much of the image's median chroma the light around may leave on a white thing,
MOST_TINTED = 26.0  # and the most chroma that is still white
OTHER_PIECES = 0.7  # what the other pieces of the colour count, beside the one with most of it


@dataclass(frozen=True)
class Window:
    """A part of CIELAB that a colour's name covers."""

    hue: tuple[float, float] | None
    """Degrees from and to; None for greys."""
    chroma: tuple[float, float]
    lightness: tuple[float, float]

    def __call__(self, view: View) -> Map:
        """Return how well each place's colour fits, 0 to 1."""
        fit = _inside(view.chroma, *self.chroma, 6.0) * _inside(view.lab[..., 0], *self.lightness, 8.0)
        if self.hue is not None:
            low, high = self.hue
            middle, half = (low + high) / 2, (high - low) / 2
            distance = np.abs((view.hue - middle + 180) % 360 - 180)
            fit = fit * np.clip((half + 12 - distance) / 12, 0, 1)
        return fit


def _inside(values: Map, low: float, high: float, edge: float) -> Map:
    fit: Map = np.clip(np.minimum(values - low, high - values) / edge + 1, 0, 1)
    return fit


WINDOWS: Mapping[str, Window] = {
    "red": Window((8, 44), (26, 200), (12, 72)),
    "orange": Window((44, 72), (40, 200), (40, 88)),
    "yellow": Window((76, 108), (36, 200), (50, 110)),
    "golden": Window((66, 96), (28, 200), (35, 95)),
    "green": Window((112, 170), (16, 200), (15, 95)),
    "cyan": Window((175, 235), (14, 200), (25, 95)),
    "blue": Window((235, 305), (16, 200), (8, 85)),
    "purple": Window((302, 338), (16, 200), (10, 75)),
    "pink": Window((-25, 30), (14, 90), (48, 95)),
    "brown": Window((35, 82), (10, 48), (14, 58)),
    "black": Window(None, (-9, 13), (-9, 24)),
    "white": Window(None, (-9, 16), (74, 110)),
    "grey": Window(None, (-9, 10), (28, 74)),
}
"""The colours that words can name (`tacit.finding.vocabulary.COLOURS`)."""


def colour_map(view: View, colour: str) -> Map:
    """Return how well each place fits a colour's name, 0 to 1; in a dim image the lightest greys are white.

    Where nothing is white, what is much less coloured than the image, as a white knob on a red door is by the light of
    the door.
    """
    window = WINDOWS[colour]
    if colour == "white":
        lightest = float(np.percentile(view.lab[..., 0], 95)) - WHITE_BELOW
        lightness = (min(window.lightness[0], max(lightest, DIMMEST_WHITE)), 110)
        fit = Window(None, window.chroma, lightness)(view)
        tint = min(TINTED * float(np.median(view.chroma)), MOST_TINTED)
        if fit.mean() < LEAST and tint > window.chroma[1]:
            return Window(None, (window.chroma[0], tint), lightness)(view)
        return fit
    return window(view)


class ColourCue:
    """Finds the places that have the named colours."""

    name = "colour"
    specific = True

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return the places of the colours, the largest piece before all others; None where nothing has them."""
        total: Map = np.zeros(view.shape, np.float32)
        strongest = 0.0
        ramp = place_map(view, phrase)
        for colour, weight in phrase.colours:
            fit = colour_map(view, colour)
            if fit.mean() < LEAST:
                continue
            total = np.maximum(total, _main_piece(fit, ramp, phrase.many) * weight)
            strongest = max(strongest, weight)
        if not strongest:
            return None
        return Evidence(total / strongest, strongest, is_named=False)


def _main_piece(fit: Map, ramp: Map | None, many: bool) -> Map:
    """Return a colour's map in which the piece with most of it counts in full, and others less."""
    closed = smoothed(fit, 2)
    labels = pieces(closed > 0.3)
    mass = np.bincount(labels.ravel(), weights=(fit if ramp is None else fit * ramp).ravel())
    if len(mass) < 2:
        return fit
    mass[0] = 0
    shares = (mass / mass.max()) ** 0.5 * (1.0 if many else OTHER_PIECES)
    shares[int(mass.argmax())] = 1.0
    if many:
        shares[mass > 0.15 * mass.max()] = 1.0
    shares[0] = 0.15
    shaped: Map = (np.maximum(fit, 0.7 * np.clip(closed * 1.5, 0, 1)) * shares[labels]).astype(np.float32)
    return shaped
