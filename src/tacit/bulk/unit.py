"""The unit of work: a shard, or so many files of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tacit.bulk.job import Kind
from tacit.bulk.record import split_file


@dataclass(frozen=True)
class Unit:
    """What one worker does at a time, and what is done again as a whole.

    name: of what comes of it, without suffix. kind: how it is read; None for files that are copied as they are.
    inputs: the files, by names relative to the source, with what changes when they do. captions: by key, from a map.
    """

    name: str
    kind: Kind | None
    inputs: Mapping[str, str]
    captions: Mapping[str, str] = field(default_factory=dict)

    def groups(self) -> dict[str, list[str]]:
        """The files of a folder by the name that they share."""
        return grouped(self.inputs)


def grouped(names: Mapping[str, object]) -> dict[str, list[str]]:
    """Files by their names without suffix, in order."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(split_file(name)[0], []).append(name)
    return groups
