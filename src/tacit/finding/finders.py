"""The finders that can be chosen, by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from tacit.errors import InvalidInput, UnknownModel
from tacit.finding.cue_finder import CORE, EMBEDDED, CueFinder, core_finder
from tacit.finding.finder import Finder
from tacit.finding.function_finder import FinderFunction, FunctionFinder
from tacit.finding.network_finder import NETWORKS, NetworkFinder


def _endpoint(model: str | None = None) -> Finder:
    from tacit.finding.endpoint_finder import EndpointFinder  # which most programs never ask for

    return EndpointFinder(model)


FINDERS: Mapping[str, Callable[..., Finder]] = MappingProxyType(
    {
        EMBEDDED: CueFinder,
        CORE: core_finder,
        "endpoint": _endpoint,
        **{kind: partial(NetworkFinder, kind) for kind in NETWORKS},
    }
)
"""What makes a finder, by the finder's name."""

WITH_SOURCE = frozenset({"endpoint", *NETWORKS})
"""The finders whose name may be followed by a colon and a model's name or folder, which is their first argument."""


def load_finder(choice: str | Finder | FinderFunction) -> Finder:
    """Return a finder.

    Args:
        choice: The name of one, as in `FINDERS`, which for some may be followed by ":MODEL" (`WITH_SOURCE`); or a
            finder itself; or a function of pixels and a caption that gives what `tacit.finding.FinderFunction` says.

    Raises:
        UnknownModel: No finder has that name.
        MissingExtra: The finder needs a package that is not installed.
        MissingWeights: The finder's model is not on this machine.
        InvalidInput: The choice is neither a name, nor a finder, nor a function.
    """
    if isinstance(choice, str):
        kind, colon, source = choice.partition(":")
        if kind in FINDERS and not colon:
            return FINDERS[kind]()
        if kind in WITH_SOURCE and source:
            return FINDERS[kind](source)
        known = [*FINDERS, *(f"{kind}:MODEL" for kind in sorted(WITH_SOURCE))]
        raise UnknownModel(f"finder must be one of {', '.join(known)}, got {choice!r}")
    if isinstance(choice, Finder):
        return choice
    if not callable(choice):
        raise InvalidInput(f"a finder must be a name or a function, got {type(choice).__name__}")
    return FunctionFinder(choice)
