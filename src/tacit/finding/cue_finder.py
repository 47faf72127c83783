"""The embedded finder: phrases, cues and fusion together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.finding.classes import ClassesCue
from tacit.finding.colour import ColourCue
from tacit.finding.cue import Cue, Evidence, ExtraCue
from tacit.finding.detector import DetectorCue, would_see
from tacit.finding.faces import FacesCue
from tacit.finding.found import FLAT, Found, FoundThing
from tacit.finding.fusion import fused, shared
from tacit.finding.networks import SHA256
from tacit.finding.phrases import Phrase, phrases_of
from tacit.finding.place import PlaceCue, of_one
from tacit.finding.rarity import RarityCue
from tacit.finding.scene_text import TextCue, is_text
from tacit.finding.stuff import StuffCue, is_stuff
from tacit.finding.view import View

EMBEDDED = "embedded"
CORE = "core"  # the same with the package's own cues alone, and so the same wherever it runs
VERSION = 10  # of the rules and figures in this package: raised whenever one is changed


class CueFinder:
    """Finds what captions name.

    Args:
        cues: The ways of finding, in any order; None takes all that are installed.
        name: What the finder is called.
    """

    def __init__(self, cues: Sequence[Cue] | None = None, name: str = EMBEDDED) -> None:
        self.cues = tuple(default_cues() if cues is None else cues)
        self.name = name
        self._detects = any(isinstance(cue, DetectorCue) for cue in self.cues)
        self._absent = tuple(cue for cue in extra_cues() if not cue.installed())

    @property
    def settings(self) -> Mapping[str, Any]:
        """The finder's version, its cues and their networks."""
        names = [cue.name for cue in self.cues]
        networks = {name: SHA256[name] for name in names if name in SHA256}
        return {"finder": self.name, "version": VERSION, "cues": names, "networks": networks}

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
        needs = tuple(cue.name for cue in self._absent if cue.wanted(phrase) and (not names or is_text(phrase)))
        evidence_of = [evidence for _, evidence in said]
        named = [evidence for cue, evidence in said if cue.specific and evidence.is_named]
        is_missing = not named and self._detects and would_see(phrase)  # something else has the colour
        if not names or is_missing:
            return FoundThing(phrase.text, (), None, needs)
        values = fused(view, evidence_of, centred=not is_stuff(phrase))
        if not (is_stuff(phrase) or any(evidence.is_one for evidence in evidence_of)):
            values = of_one(values, phrase)
        sure = not named or any(evidence.is_sure for evidence in named)
        return FoundThing(phrase.text, names, values, needs, sure)


def core_finder() -> CueFinder:
    """Return the finder that has the package's own cues, whatever else is installed."""
    return CueFinder(core_cues(), CORE)


def core_cues() -> tuple[Cue, ...]:
    """Return the cues of the package."""
    return (ColourCue(), PlaceCue(), StuffCue(), DetectorCue(), FacesCue(), RarityCue())


def extra_cues() -> tuple[ExtraCue, ...]:
    """Return the cues whose networks the extra `find` installs."""
    return (TextCue(), ClassesCue())


def default_cues() -> tuple[Cue, ...]:
    """Return the cues of the package, and those of the extra `find` that are installed."""
    return (*core_cues(), *(cue for cue in extra_cues() if cue.installed()))
