"""The embedded finder: phrases, cues and fusion together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.finding.colour import ColourCue
from tacit.finding.cue import Cue, Evidence
from tacit.finding.detector import DetectorCue
from tacit.finding.faces import FacesCue
from tacit.finding.found import FLAT, Found, FoundThing
from tacit.finding.fusion import fused, shared
from tacit.finding.networks import SHA256
from tacit.finding.phrases import Phrase, phrases_of
from tacit.finding.place import PlaceCue
from tacit.finding.rarity import RarityCue
from tacit.finding.stuff import StuffCue, is_stuff
from tacit.finding.view import View

EMBEDDED = "embedded"
VERSION = 6  # of the rules and figures in this package: raised whenever one is changed


class CueFinder:
    """Finds what captions name.

    Args:
        cues: The ways of finding, in any order; None takes all that the package has.
    """

    def __init__(self, cues: Sequence[Cue] | None = None) -> None:
        self.cues = tuple(default_cues() if cues is None else cues)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The finder's version, its cues and their networks."""
        return {"finder": EMBEDDED, "version": VERSION, "cues": [cue.name for cue in self.cues], "networks": SHA256}

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
