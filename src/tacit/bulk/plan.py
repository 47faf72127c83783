"""The plan of a bulk run: the units of work that are still to be done."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tacit.bulk.job import BulkJob, StorageKind
from tacit.bulk.manifest import ManifestEntry
from tacit.bulk.record import TACIT_EXTENSIONS, first_image, image_extensions, split_file
from tacit.bulk.source import PARQUET_SUFFIXES, TAR_SUFFIXES, Source
from tacit.bulk.store import FileStat
from tacit.bulk.unit import WorkUnit, group_by_key
from tacit.captions import CaptionMap
from tacit.captions.file_index import file_key
from tacit.errors import InvalidInput
from tacit.finding.box_map import BoxMap

LARGE = 64 << 20  # bytes of a file without an image from which on it is copied on its own and never held in memory
IN_SHARD = re.compile(r"(.*?\.(?:tar(?:\.\w+)?|tgz|parquet|pq))/", re.IGNORECASE)  # a file of a list that is in a shard
COPIES = 1000  # files of a unit that are copied as they are


@dataclass(frozen=True)
class Plan:
    """What a run has to do."""

    units: tuple[WorkUnit, ...]
    """The units to do."""
    done: tuple[str, ...]
    """The names of units that earlier runs did and that need not be done again."""
    redone: int
    """How many of `units` were done before, but their inputs have changed or their output is gone."""


def make_plan(
    source: Source,
    job: BulkJob,
    earlier: Mapping[str, ManifestEntry],
    written: Mapping[str, FileStat],
    captions: CaptionMap | None = None,
    boxes: BoxMap | None = None,
) -> Plan:
    """Return the units that are to be done.

    A unit is done if its inputs are as they were and what it wrote is there. Files of a folder that are in no unit yet
    get units of their own, so that a folder may grow from run to run.

    Args:
        source: The data set.
        job: The run's settings.
        earlier: The manifest's entries, by unit.
        written: The destination's files.
        captions: Captions of the images of a folder.
        boxes: Boxes of images; those in a shard are named as if it were a folder, or by their own names.

    Raises:
        InvalidInput: A unit must be done again, but some of its inputs are gone: doing it would delete their results.
    """
    planner = _Planner(source, job, earlier, written, captions, boxes)
    planner.run()
    return Plan(tuple(planner.units), tuple(planner.done), planner.redone)


class _Planner:
    def __init__(
        self,
        source: Source,
        job: BulkJob,
        earlier: Mapping[str, ManifestEntry],
        written: Mapping[str, FileStat],
        captions: CaptionMap | None,
        boxes: BoxMap | None,
    ) -> None:
        self.source, self.job, self.earlier, self.written, self.captions = source, job, earlier, written, captions
        self.boxes = boxes
        self._by_shard: dict[str, list[str]] | None = None  # the files of the list
        self.extensions = TACIT_EXTENSIONS if job.decode else image_extensions()
        self.units: list[WorkUnit] = []
        self.done: list[str] = []
        self.redone = 0

    def run(self) -> None:
        files, kind = self.source.files, self.source.kind
        shard_suffixes = {StorageKind.TAR: TAR_SUFFIXES, StorageKind.PARQUET: PARQUET_SUFFIXES}.get(kind)
        if shard_suffixes is None:
            copied = [name for name in files if self._is_large(name)]
            groups = group_by_key({name: None for name in files if not self._is_large(name)})
            self._plan_files("files", StorageKind.FOLDER, groups, self.job.shard_size)
        else:
            shards = [name for name in files if name.lower().endswith(shard_suffixes)]
            self._plan_shards(shards, kind)
            copied = [name for name in files if not name.lower().endswith(shard_suffixes)]
        self._plan_files("copied", None, {name: [name] for name in copied}, COPIES)

    def _is_large(self, name: str) -> bool:
        return self.source.files[name].size > LARGE and split_file(name)[1].lower() not in self.extensions

    def _plan_shards(self, names: list[str], kind: StorageKind) -> None:
        shards: dict[str, str] = {}  # by unit
        for name in names:
            unit = _unit_name(name)
            if unit in shards:
                raise InvalidInput(f"{shards[unit]} and {name} would both become {unit}; rename one of them")
            shards[unit] = name
            stamp, boxes = self.source.files[name].stamp, self._boxes_of_shard(name)
            if boxes is not None:  # a shard with other boxes counts as another shard
                stamp += f"-{boxes.digest}"
            self._settle(WorkUnit(unit, kind, {name: stamp}, boxes=boxes))

    def _boxes_of_shard(self, name: str) -> BoxMap | None:
        """Return the boxes of rows that name a shard; where none does, of those that name no shard."""
        if self.boxes is None:
            return None
        if self._by_shard is None:
            self._by_shard = {}
            for file in self.boxes.boxes.values:
                shard = IN_SHARD.match(file)
                self._by_shard.setdefault("" if shard is None else shard[1], []).append(file)
        key = file_key(os.path.join(self._root(self.boxes.folder), name), self.boxes.folder)
        return self.boxes.of_files(self._by_shard.get(key) or self._by_shard.get("", []))

    def _plan_files(self, prefix: str, kind: StorageKind | None, groups: Mapping[str, list[str]], size: int) -> None:
        """Put groups of files into the units that they were in before, and into new ones where they were in none."""
        owner = {
            (name if kind is None else split_file(name)[0]): entry.name
            for entry in self.earlier.values()
            if entry.name.startswith(f"{prefix}-")
            for name in entry.inputs
        }
        old: dict[str, list[str]] = {}
        new: list[str] = []
        for key in groups:
            if key in owner:
                old.setdefault(owner[key], []).append(key)
            else:
                new.append(key)
        for name, keys in sorted(old.items()):
            self._settle(self._unit(name, kind, groups, keys))
        number = 0
        for start in range(0, len(new), size):
            while f"{prefix}-{number:06}" in self.earlier:
                number += 1
            self.units.append(self._unit(f"{prefix}-{number:06}", kind, groups, new[start : start + size]))
            number += 1

    def _unit(self, name: str, kind: StorageKind | None, groups: Mapping[str, list[str]], keys: list[str]) -> WorkUnit:
        inputs = {file: self.source.files[file].stamp for key in keys for file in groups[key]}
        captions = {} if self.captions is None else self._captions(groups, keys)
        for image, caption in captions.items():  # an image with another caption counts as another image
            inputs[image] += f"-{hashlib.sha256(caption.encode()).hexdigest()[:8]}"
        boxes = None
        if self.boxes is not None and kind is not None:
            folder = self._root(self.boxes.folder)
            paths = {image: os.path.join(folder, image) for image in self._images(groups, keys)}
            boxes = self.boxes.part(paths.values())
            for image, path in paths.items():  # an image with other boxes counts as another image
                inputs[image] += f"-{boxes.part([path]).digest}"
        captions_by_key = {split_file(image)[0]: caption for image, caption in captions.items()}
        return WorkUnit(name, kind, inputs, captions_by_key, boxes)

    def _captions(self, groups: Mapping[str, list[str]], keys: list[str]) -> dict[str, str]:
        """Return captions from the map by image.

        The map is asked for the image's path or, where the source is not on this machine, for a path beside the map.
        """
        assert self.captions is not None
        folder = self._root(self.captions.folder)
        found = ((image, self.captions.find(os.path.join(folder, image))) for image in self._images(groups, keys))
        return {image: caption for image, caption in found if caption}

    def _images(self, groups: Mapping[str, list[str]], keys: list[str]) -> Iterator[str]:
        """Yield the image of each key that has one."""
        for key in keys:
            names = {split_file(name)[1]: name for name in groups[key]}
            suffix = first_image(names, self.extensions)
            if suffix is not None:
                yield names[suffix]

    def _root(self, folder: Path) -> str:
        """Return where images are for a list of something: in the source, or beside the list if that is not here."""
        return self.source.store.root if self.source.store.local else str(folder)

    def _settle(self, unit: WorkUnit) -> None:
        """Decide whether a unit that an earlier run may have done is to be done."""
        entry = self.earlier.get(unit.name)
        if entry is not None:
            same = all(entry.inputs.get(name) == stamp for name, stamp in unit.inputs.items())
            whole = all(
                name in self.written and self.written[name].size == file["bytes"] for name, file in entry.files.items()
            )
            if same and whole:
                self.done.append(unit.name)
                return
            if gone := entry.inputs.keys() - unit.inputs.keys():
                raise InvalidInput(
                    f"{unit.name}: {len(gone)} of its files are no longer in the source, such as {min(gone)}, and "
                    "others are new or changed; doing it again would lose those. Put them back, or name another "
                    "destination"
                )
            self.redone += 1
        self.units.append(unit)


def _unit_name(shard: str) -> str:
    """Return the name of a shard without its suffix."""
    for suffix in (*TAR_SUFFIXES, *PARQUET_SUFFIXES):
        if shard.lower().endswith(suffix):
            return shard[: -len(suffix)]
    return shard
