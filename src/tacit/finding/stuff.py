"""The cue of stuff: sky, water, grass, trees and other things without a form, by colour, height and texture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tacit.finding.colour import WINDOWS, Window
from tacit.finding.cue import Evidence
from tacit.finding.maps import Map, smoothed
from tacit.finding.phrases import Phrase
from tacit.finding.view import View

WEIGHT = 1.2
LEAST, SUREST = 0.015, 0.12  # shares of the image from which on stuff is seen at all, and surely
SURE = 0.5  # and how far between them it is sure to be there

_LEAVES = Window((98, 175), (7, 200), (6, 78))
_SAND = Window((55, 100), (6, 38), (48, 96))
_BLUE_GREY = Window((190, 300), (3, 80), (18, 92))


def _high(view: View) -> Map:
    ramp: Map = np.clip((0.8 - view.down) / 0.4, 0, 1)
    return ramp


def _low(view: View) -> Map:
    ramp: Map = np.clip((view.down - 0.2) / 0.4, 0, 1)
    return ramp


def _smooth(view: View) -> Map:
    fit: Map = np.exp(-smoothed(view.roughness, 2) / 4)
    return fit


def _rough(view: View) -> Map:
    fit: Map = np.clip(smoothed(view.roughness, 2) / 6, 0, 1)
    return fit


def _sky(view: View) -> Map:
    blue = _BLUE_GREY(view) * np.clip((view.lab[..., 0] - 30) / 20, 0, 1)
    fit: Map = np.maximum(blue, WINDOWS["white"](view)) * _high(view) * _smooth(view)
    return fit


def _water(view: View) -> Map:
    fit = np.maximum(_BLUE_GREY(view), 0.8 * WINDOWS["grey"](view))
    fit = np.maximum(fit, 0.7 * Window((130, 200), (3, 40), (18, 85))(view))
    fit = np.maximum(fit, 0.8 * WINDOWS["white"](view) * _rough(view))
    low: Map = fit * _low(view)
    return low


def _cloud(view: View) -> Map:
    return Window(None, (-9, 14), (70, 110))(view) * _high(view)


def _grass(view: View) -> Map:
    return _LEAVES(view) * np.clip(view.lab[..., 0] / 30, 0, 1) * _low(view)


def _trees(view: View) -> Map:
    dark = 0.7 * Window(None, (-9, 12), (-9, 34))(view)
    fit: Map = np.maximum(_LEAVES(view), dark) * (0.3 + 0.7 * _rough(view)) * np.clip((0.95 - view.down) / 0.3, 0, 1)
    return fit


def _sand(view: View) -> Map:
    return _SAND(view) * _low(view)


def _snow(view: View) -> Map:
    return Window(None, (-9, 12), (68, 110))(view)


def _road(view: View) -> Map:
    return Window(None, (-9, 12), (20, 78))(view) * _low(view) * _smooth(view)


def _mountain(view: View) -> Map:
    middle = np.exp(-(((view.down - 0.3) / 0.25) ** 2))
    fit: Map = middle * np.clip(view.roughness / 4, 0.2, 1)
    return fit


_KINDS: Mapping[str, Callable[[View], Map]] = {
    "sky": _sky,
    "cloud": _cloud,
    "water": _water,
    "grass": _grass,
    "tree": _trees,
    "sand": _sand,
    "snow": _snow,
    "road": _road,
    "mountain": _mountain,
}
_NOUNS = {
    **{kind: kind for kind in _KINDS},
    **dict.fromkeys(
        "river sea ocean lake stream wave pond harbor harbour bay surf rapids waterfall creek".split(), "water"
    ),
    **dict.fromkeys("field lawn meadow pasture park".split(), "grass"),
    **dict.fromkeys("forest bush woods jungle foliage shrub hedge plant leaf palm".split(), "tree"),
    **dict.fromkeys("beach desert dirt dune shore".split(), "sand"),
    **dict.fromkeys("street asphalt highway pavement runway sidewalk".split(), "road"),
    **dict.fromkeys("hill peak cliff".split(), "mountain"),
}


class StuffCue:
    """Finds stuff that has no form, by what it commonly looks like."""

    name = "stuff"
    specific = True

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return where the stuff may be; None where it is no known kind, or too little is seen."""
        kind = _NOUNS.get(phrase.head)
        if kind is None:
            return None
        fit = smoothed(_KINDS[kind](view).astype(np.float32), 1)
        top = float(np.percentile(fit, 99))
        seen = float((fit > 0.5 * max(top, 0.3)).mean())
        sure = np.clip((seen - LEAST) / (SUREST - LEAST), 0, 1) * np.clip(top / 0.6, 0, 1)
        if sure < 0.15:
            return None
        return Evidence(np.clip(fit / top, 0, 1), WEIGHT * float(sure), is_sure=float(sure) >= SURE)


def is_stuff(phrase: Phrase) -> bool:
    """Return whether the phrase names stuff and not a thing."""
    return phrase.head in _NOUNS
