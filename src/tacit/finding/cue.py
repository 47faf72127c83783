"""What a cue is: one way of telling where in an image a phrase's thing may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tacit.finding.maps import Map
from tacit.finding.phrases import Phrase
from tacit.finding.view import View


@dataclass(frozen=True)
class Evidence:
    """What a cue says."""

    map: Map
    """How likely each place shows the thing, 0 to 1 [h, w], the likeliest near 1."""
    weight: float
    """How much the cue counts among others."""
    is_named: bool = True
    """Whether it is of the thing that is named, and not only of how the thing is described."""
    is_sure: bool = True
    """Whether things that are not in the image seldom give so much of it."""
    is_one: bool = False
    """Whether it has told the thing that the phrase names by its place from others of its kind."""


class Cue(Protocol):
    """One way of telling where a thing may be."""

    name: str
    """What users call it."""
    specific: bool
    """Whether it speaks of the thing that is named, and not of what any picture's subject may be."""

    def __call__(self, view: View, phrase: Phrase) -> Evidence | None:
        """Return where the phrase's thing may be; None where the cue knows nothing of it, or sees nothing of it."""


class ExtraCue(Cue, Protocol):
    """A cue whose network comes with the extra `find`."""

    @staticmethod
    def installed() -> bool:
        """Return whether the network is here."""

    @staticmethod
    def wanted(phrase: Phrase) -> bool:
        """Return whether the cue knows of the phrase's thing."""
