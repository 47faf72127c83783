"""What a source holds, and the units of work that are still to be done."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tacit.bulk.job import Job, Kind
from tacit.bulk.manifest import Entry
from tacit.bulk.record import PHOTOS, TACIT, split_file
from tacit.bulk.store import OWN, Stat, Store
from tacit.bulk.unit import Unit, grouped
from tacit.errors import InvalidInput, MissingExtra, PathError

if TYPE_CHECKING:
    from tacit.captions import CaptionMap

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PARQUET_SUFFIXES = (".parquet", ".pq")
LARGE = 64 << 20  # bytes of a file without an image from which on it is copied on its own and never held in memory
COPIES = 1000  # files of a unit that are copied as they are


@dataclass(frozen=True)
class Source:
    """The files of a data set, and how they are stored. whole: whether all that is below the folder belongs to it, so
    that what is put there would, too; not where files were named."""

    store: Store
    kind: Kind
    files: Mapping[str, Stat]
    whole: bool = True


@dataclass(frozen=True)
class Plan:
    """units: to be done. done: units of earlier runs that hold. redone: how many of `units` were done before, but the
    source has changed since, or their files are gone."""

    units: tuple[Unit, ...]
    done: tuple[str, ...]
    redone: int


def open_source(url: str, kind: Kind | None, decode: bool) -> Source:
    """List a folder, a file, or the files that a pattern means (`*`, `?`, `[...]`, `{0000..0099}`).

    kind: how they are stored; None to find out: tar shards where there are any, Parquet where there are no images.
    Hidden files are left out.

    Raises: PathError, where nothing is found; InvalidInput, where it is not clear what is meant; MissingExtra.
    """
    store, listed, whole = _list(url)
    files = {n: s for n, s in listed.items() if not any(p.startswith(".") for p in n.split("/")) and not _is_own(n)}
    if not files:
        raise PathError(f"{url}: nothing there")
    suffixes = TACIT if decode else PHOTOS
    shards = any(n.lower().endswith(TAR_SUFFIXES) for n in files)
    images = any(split_file(n)[1].lower() in suffixes for n in files)
    tables = any(n.lower().endswith(PARQUET_SUFFIXES) for n in files)
    if kind is None:
        if shards and images:
            raise InvalidInput(f"{url} has tar shards and images in files: say which with --from tar or --from folder")
        kind = Kind.TAR if shards else Kind.FOLDER if images or not tables else Kind.PARQUET
    if not {Kind.TAR: shards, Kind.FOLDER: images, Kind.PARQUET: tables}[kind]:
        wanted = {Kind.TAR: "tar shard", Kind.FOLDER: ".tacit file" if decode else "image", Kind.PARQUET: ".parquet"}
        raise PathError(f"{url}: no {wanted[kind]} there")
    return Source(store, kind, files, whole)


def _list(url: str) -> tuple[Store, dict[str, Stat], bool]:
    store = Store(url)
    if any(c in url for c in "*?[{") and not _there(store):
        return _expanded(url)
    if found := store.list():
        return store, found, True
    folder, name = posixpath.split(url.rstrip("/"))
    parent = Store(folder or ".")
    return parent, {name: parent.stat(name)}, False


def _there(store: Store) -> bool:
    try:
        store.stat("")
    except PathError:
        return False
    return True


def _expanded(pattern: str) -> tuple[Store, dict[str, Stat], bool]:
    try:
        from braceexpand import braceexpand
    except ImportError as error:
        raise MissingExtra("patterns of shards need braceexpand: pip install 'tacit[bulk]'") from error
    base = pattern
    while any(c in base for c in "*?[{"):
        base = posixpath.dirname(base)
    store = Store(base or ".")
    found: dict[str, Stat] = {}
    whole = False
    try:
        urls = list(braceexpand(pattern))
    except ValueError as error:
        raise InvalidInput(f"{pattern}: {error}") from error
    start = len(base) + 1 if base and base != "/" else len(base)
    for url in urls:
        name = url[start:]
        if not any(c in name for c in "*?["):
            found[name] = store.stat(name)
            continue
        whole |= any(c in posixpath.dirname(name) for c in "*?[") or "**" in name
        matches = [str(path)[len(store.root.rstrip("/")) + 1 :] for path in store.fs.glob(store.path(name))]
        found.update({match: store.stat(match) for match in sorted(matches)})
    return store, found, whole


def _is_own(name: str) -> bool:
    return name.split("/", 1)[0] == OWN


def plan(
    source: Source,
    job: Job,
    earlier: Mapping[str, Entry],
    written: Mapping[str, Stat],
    captions: CaptionMap | None = None,
) -> Plan:
    """The units that are to be done. earlier: the manifest. written: the destination's files.

    A unit is done if its inputs are as they were and what it wrote is there. Files of a folder that are in no unit yet
    get units of their own, so that a folder may grow from run to run.

    Raises: InvalidInput, where a unit would be done again of which some inputs are gone, for it would lose them.
    """
    planner = _Planner(source, job, earlier, written, captions)
    planner.run()
    return Plan(tuple(planner.units), tuple(planner.done), planner.redone)


class _Planner:
    def __init__(
        self,
        source: Source,
        job: Job,
        earlier: Mapping[str, Entry],
        written: Mapping[str, Stat],
        captions: CaptionMap | None,
    ) -> None:
        self.source, self.job, self.earlier, self.written, self.captions = source, job, earlier, written, captions
        self.suffixes = TACIT if job.decode else PHOTOS
        self.units: list[Unit] = []
        self.done: list[str] = []
        self.redone = 0

    def run(self) -> None:
        files, kind = self.source.files, self.source.kind
        shard_suffixes = {Kind.TAR: TAR_SUFFIXES, Kind.PARQUET: PARQUET_SUFFIXES}.get(kind)
        if shard_suffixes is None:
            copied = [name for name in files if self._is_large(name)]
            taken = set(copied)
            groups = grouped({name: None for name in files if name not in taken})
            self._grow("files", Kind.FOLDER, groups, self.job.shard_size)
        else:
            shards = [name for name in files if name.lower().endswith(shard_suffixes)]
            self._shards(shards, kind)
            taken = set(shards)
            copied = [name for name in files if name not in taken]
        self._grow("copied", None, {name: [name] for name in copied}, COPIES)

    def _is_large(self, name: str) -> bool:
        return self.source.files[name].size > LARGE and split_file(name)[1].lower() not in self.suffixes

    def _shards(self, names: list[str], kind: Kind) -> None:
        taken: dict[str, str] = {}
        for name in names:
            unit = _shard_name(name)
            if unit in taken:
                raise InvalidInput(f"{taken[unit]} and {name} would both become {unit}: give one another name")
            taken[unit] = name
            self._settle(Unit(unit, kind, {name: self.source.files[name].stamp}))

    def _grow(self, prefix: str, kind: Kind | None, groups: Mapping[str, list[str]], size: int) -> None:
        """Groups of files into units: those that they have been in, and new ones for the others."""
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

    def _unit(self, name: str, kind: Kind | None, groups: Mapping[str, list[str]], keys: list[str]) -> Unit:
        inputs = {n: self.source.files[n].stamp for key in keys for n in groups[key]}
        captions = {} if self.captions is None else self._captions(groups, keys)
        for image, caption in captions.items():  # another caption is as another image
            inputs[image] += f"-{hashlib.sha256(caption.encode()).hexdigest()[:8]}"
        return Unit(name, kind, inputs, {split_file(image)[0]: caption for image, caption in captions.items()})

    def _captions(self, groups: Mapping[str, list[str]], keys: list[str]) -> dict[str, str]:
        """By image, from the map: by the file's path, or where the source is not on this machine, as if it were at the
        map."""
        assert self.captions is not None
        found: dict[str, str] = {}
        for key in keys:
            image = next((n for n in groups[key] if split_file(n)[1].lower() in self.suffixes), None)
            if image is not None:
                folder = self.source.store.root if self.source.store.local else str(self.captions.folder)
                if text := self.captions.find(os.path.join(folder, image)):
                    found[image] = text
        return found

    def _settle(self, unit: Unit) -> None:
        """Whether a unit is done."""
        entry = self.earlier.get(unit.name)
        if entry is not None:
            same = all(entry.inputs.get(name) == stamp for name, stamp in unit.inputs.items())
            whole = all(
                name in self.written and self.written[name].size == about["bytes"]
                for name, about in entry.files.items()
            )
            if same and whole:
                self.done.append(unit.name)
                return
            if gone := entry.inputs.keys() - unit.inputs.keys():
                raise InvalidInput(
                    f"{unit.name}: {len(gone)} of its files are no longer in the source, such as {min(gone)}, and "
                    "others are new or changed: doing it again would lose those. Put them back, or name another "
                    "destination"
                )
            self.redone += 1
        self.units.append(unit)


def _shard_name(name: str) -> str:
    for suffix in (*TAR_SUFFIXES, *PARQUET_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name
