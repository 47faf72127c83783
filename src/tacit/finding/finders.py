"""The finders that can be chosen, by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tacit.errors import InvalidInput, UnknownModel
from tacit.finding.cue_finder import EMBEDDED, CueFinder
from tacit.finding.finder import Finder
from tacit.finding.function_finder import FinderFunction, FunctionFinder

FINDERS: Mapping[str, Callable[[], Finder]] = MappingProxyType({EMBEDDED: CueFinder})
"""What makes a finder, by the finder's name."""


def load_finder(choice: str | Finder | FinderFunction) -> Finder:
    """Return a finder.

    Args:
        choice: The name of one, as in `FINDERS`, or a finder itself, or a function of pixels and a caption that gives
            what `tacit.finding.FinderFunction` says.

    Raises:
        UnknownModel: No finder has that name.
        InvalidInput: The choice is neither a name, nor a finder, nor a function.
    """
    if isinstance(choice, str):
        if choice not in FINDERS:
            raise UnknownModel(f"finder must be one of {', '.join(FINDERS)}, got {choice!r}")
        return FINDERS[choice]()
    if isinstance(choice, Finder):
        return choice
    if not callable(choice):
        raise InvalidInput(f"a finder must be a name or a function, got {type(choice).__name__}")
    return FunctionFinder(choice)
