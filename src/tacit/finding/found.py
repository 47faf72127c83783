"""What a finder found of a caption, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tacit.finding.maps import Map

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
    needs: tuple[str, ...] = ()
    """The names of cues that could see it, and that the extra `find` would bring."""
    sure: bool = True
    """Whether it is likely to be there; what is not is steered to, but promised nothing."""


@dataclass(frozen=True)
class Found:
    """What was found of a caption, and where."""

    map: Map
    """How likely each place shows something that the caption names, 0 to 1 [h, w]; 0.5 everywhere if nothing is found.

    The map stretches over the image and is usually much smaller.
    """
    things: tuple[FoundThing, ...]
    """All things that the caption names, in its order."""

    @property
    def found(self) -> tuple[str, ...]:
        """The phrases whose things were found."""
        return tuple(thing.phrase for thing in self.things if thing.map is not None)

    @property
    def unsure(self) -> tuple[str, ...]:
        """Those of the found phrases whose things are hardly seen."""
        return tuple(thing.phrase for thing in self.things if thing.map is not None and not thing.sure)

    @property
    def missed(self) -> tuple[str, ...]:
        """The phrases whose things were not found; they change nothing."""
        return tuple(thing.phrase for thing in self.things if thing.map is None)

    @property
    def hint(self) -> str | None:
        """How more could be found; None where nothing that is known of would help."""
        needs = {name: thing.phrase for thing in reversed(self.things) for name in thing.needs}
        if not needs:
            return None
        why = ", ".join(f"{phrase!r} by its {name}" for name, phrase in sorted(needs.items()))
        return f"pip install 'tacit[find]' may find {why}"


def nothing(phrases: Sequence[str] = ()) -> Found:
    """Return that none of several things was found."""
    return Found(np.full((1, 1), FLAT, np.float32), tuple(FoundThing(phrase, (), None) for phrase in phrases))
