"""The unit of work: a shard, or a number of files of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tacit.bulk.job import StorageKind
from tacit.bulk.record import split_file
from tacit.finding.box_map import BoxMap


@dataclass(frozen=True)
class WorkUnit:
    """What a worker does at a time; where it fails, the whole of it is done again."""

    name: str
    """The name of the unit's output, without suffix."""
    kind: StorageKind | None
    """How the inputs are stored; None for files that are copied as they are."""
    inputs: Mapping[str, str]
    """The files by their names in the source, each with a stamp that changes when the file does."""
    captions: Mapping[str, str] = field(default_factory=dict)
    """Captions from a map, by record key."""
    boxes: BoxMap | None = None
    """Boxes from a list, of the unit's images; None where there is no list."""

    def groups(self) -> dict[str, list[str]]:
        """Return the files of a folder by the key that they share."""
        return group_by_key(self.inputs)


def group_by_key(names: Mapping[str, object]) -> dict[str, list[str]]:
    """Return files, in order, by their names without suffix."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(split_file(name)[0], []).append(name)
    return groups
