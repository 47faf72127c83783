"""The finder: phrases, cues and fusion together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tacit.finding.colour import ColourCue
from tacit.finding.cue import Cue, Evidence
from tacit.finding.detector import DetectorCue
from tacit.finding.faces import FacesCue
from tacit.finding.fusion import fused, shared
from tacit.finding.maps import Map
from tacit.finding.phrases import Phrase, phrases_of
from tacit.finding.place import PlaceCue
from tacit.finding.rarity import RarityCue
from tacit.finding.stuff import StuffCue, is_stuff
from tacit.finding.view import View

FLAT = 0.5  # everywhere, where nothing is found


@dataclass(frozen=True)
class FoundThing:
    """A thing that a caption names, and where it is."""

    phrase: str
    """The words, as the caption has them."""
    cues: tuple[str, ...]
    """The names of the cues that saw it; empty where none did."""
    map: Map | None
    """How likely each place shows it, 0 to 1 [h, w]; None where it is not found."""


@dataclass(frozen=True)
class Found:
    """What was found of a caption, and where."""

    map: Map
    """How likely each place shows something that the caption names, 0 to 1 [h, w]; 0.5 everywhere if nothing is found.

    The map is a small one: its longer side is at most `tacit.finding.view.SIDE`.
    """
    things: tuple[FoundThing, ...]
    """All things that the caption names, in its order."""

    @property
    def found(self) -> tuple[str, ...]:
        """The phrases whose things were found."""
        return tuple(thing.phrase for thing in self.things if thing.map is not None)

    @property
    def missed(self) -> tuple[str, ...]:
        """The phrases whose things were not found; they change nothing."""
        return tuple(thing.phrase for thing in self.things if thing.map is None)


class Finder:
    """Finds what captions name.

    Args:
        cues: The ways of finding, in any order; None takes all that the package has.
    """

    def __init__(self, cues: Sequence[Cue] | None = None) -> None:
        self.cues = tuple(default_cues() if cues is None else cues)

    def __call__(self, pixels: NDArray[np.uint8], caption: str) -> Found:
        """Return what is found of a caption.

        Args:
            pixels: The image, uint8 [H, W, 1 or 3].
            caption: The caption; one that names nothing finds nothing.
        """
        view = View(pixels)
        things = tuple(self._thing(view, phrase) for phrase in phrases_of(caption))
        maps = [thing.map for thing in things if thing.map is not None]
        return Found(shared(maps) if maps else np.full(view.shape, FLAT, np.float32), things)

    def _thing(self, view: View, phrase: Phrase) -> FoundThing:
        said: list[tuple[Cue, Evidence]] = []
        for cue in self.cues:
            evidence = cue(view, phrase)
            if evidence is not None:
                said.append((cue, evidence))
        names = tuple(cue.name for cue, _ in said if cue.specific)
        if not names:
            return FoundThing(phrase.text, (), None)
        evidence_of = [evidence for _, evidence in said]
        return FoundThing(phrase.text, names, fused(view, evidence_of, centred=not is_stuff(phrase)))


def default_cues() -> tuple[Cue, ...]:
    """Return the cues of the package."""
    return (ColourCue(), PlaceCue(), StuffCue(), DetectorCue(), FacesCue(), RarityCue())
