"""The record of what runs have done, kept beside the data, so that the next run does only what is missing.

DEST/_tacit/run.json           the settings
DEST/_tacit/shards/NAME.json   one entry for each shard, written by the worker when the shard is in its place
DEST/_tacit/manifest.jsonl     the entries of runs that have ended, gathered in one file
DEST/_tacit/failures.jsonl     images that could not be used, with the reason
DEST/_tacit/tries/NAME         a shard that a worker is at: how many have begun it, and who the last one is
DEST/_tacit/parts/             files that are not whole yet
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO, cast

from tacit.bulk.counts import Counts
from tacit.bulk.store import OWN_FOLDER, PARTS, ShardStore
from tacit.errors import InvalidInput

SHARDS = f"{OWN_FOLDER}/shards"
TRIES = f"{OWN_FOLDER}/tries"
SETTINGS = f"{OWN_FOLDER}/run.json"
MANIFEST = f"{OWN_FOLDER}/manifest.jsonl"
FAILURES = f"{OWN_FOLDER}/failures.jsonl"


@dataclass(frozen=True, kw_only=True)
class ManifestEntry(Counts):
    """The result of one unit; the names are those of the manifest's JSON."""

    name: str
    """The unit's name."""
    inputs: Mapping[str, str]
    """The source's files, each with a stamp that changes when the file does."""
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The files that were written, each with "bytes" and "sha256"."""
    psnr: float | None = None
    """The mean PSNR of the measured images in dB; None where no image was measured."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds by activity; "wall" is the time from beginning to end."""
    memory: int = 0
    """The most bytes that the worker has ever held."""
    warnings: Mapping[str, int] = field(default_factory=dict)
    """What could not be kept of images, and how often."""
    failures: tuple[Mapping[str, str], ...] = ()
    """"key" and "reason" of each image that was left out."""

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON has it."""
        fields = {"name": self.name, **asdict(self)}
        if not self.unboxed:  # which entries of earlier versions do not have
            del fields["unboxed"]
        return fields

    @staticmethod
    def from_json(data: bytes | str, path: str) -> ManifestEntry:
        """Parse an entry.

        Args:
            data: JSON text, as `to_json` gives it.
            path: Where the text was read; error messages begin with it.

        Raises:
            InvalidInput: The text is not an entry.
        """
        try:
            fields = json.loads(data)
            return ManifestEntry(**{**fields, "failures": tuple(fields["failures"])})
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInput(f"{path}: not an entry of a manifest ({type(error).__name__}: {error})") from error


def entry_name(unit: str) -> str:
    """Return the name of the file that holds a unit's entry."""
    return f"{SHARDS}/{unit}.json"


def write_entry(store: ShardStore, entry: ManifestEntry) -> None:
    """Write an entry into a file of its own, as a worker does when a shard is in its place.

    Raises:
        PathError: The file cannot be written.
    """
    store.put(entry_name(entry.name), json.dumps(entry.to_json()).encode())


def read_entry(store: ShardStore, unit: str) -> ManifestEntry | None:
    """Return the entry that a worker has written for a unit, or None where there is none.

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The file is not an entry.
    """
    name = entry_name(unit)
    data = store.read(name)
    return None if data is None else ManifestEntry.from_json(data, f"{store.url}/{name}")


class Manifest:
    """All entries of a destination; the lists of failures, which may be long, are kept on disk.

    Args:
        store: The destination.
        settings: The run's settings, `BulkJob.settings` and more; a new destination keeps them.

    Raises:
        PathError: The destination cannot be read or written.
        InvalidInput: The destination holds something else, or was made with other settings.
    """

    def __init__(self, store: ShardStore, settings: Mapping[str, Any]) -> None:
        self.store = store
        self.entries: dict[str, ManifestEntry] = {}
        self._failures: BinaryIO | None = None
        self._own_files = store.list(OWN_FOLDER)
        self._check(settings)
        self._load()

    def add(self, entry: ManifestEntry) -> None:
        """Take the entry of a unit that a worker has done.

        What the unit had written before and has not written again is removed: an image that was there is now a bad one.

        Raises:
            PathError: A file cannot be removed.
        """
        if (before := self.entries.get(entry.name)) is not None:
            self.store.remove(sorted(before.files.keys() - entry.files.keys()))
        for failure in entry.failures:
            if self._failures is None:
                self._failures = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - closed by `close`
            self._failures.write(json.dumps({"shard": entry.name, **failure}).encode() + b"\n")
        self._new.add(entry.name)
        self.entries[entry.name] = _without_failures(entry)

    def gather(self) -> None:
        """Write one file of all entries and one of all failures, and remove the entries' own files.

        No worker may be at work.

        Raises:
            PathError: A file cannot be written or removed.
        """
        self._remove_leftovers()
        if not self._new:
            return
        with self.store.create(FAILURES) as part:
            for line in self._earlier_failures():
                if json.loads(line)["shard"] not in self._new:
                    part.stream.write(line)
            if self._failures is not None:
                self._failures.seek(0)
                shutil.copyfileobj(self._failures, part.stream)
        with self.store.create(MANIFEST) as part:
            for _, entry in sorted(self.entries.items()):
                part.stream.write(json.dumps(entry.to_json()).encode() + b"\n")
        self.store.remove([entry_name(name) for name in sorted(self._new)])

    def close(self) -> None:
        """Delete the temporary file of failures."""
        if self._failures is not None:
            self._failures.close()

    def _check(self, settings: Mapping[str, Any]) -> None:
        content = self.store.read(SETTINGS)
        url = self.store.url
        if content is None:
            if any(not name.startswith(f"{OWN_FOLDER}/") for name in self.store.list()):
                raise InvalidInput(f"{url}: must be empty or written by tacit bulk; name another destination")
            self.store.put(SETTINGS, json.dumps(settings, indent=1).encode() + b"\n")
            return
        try:
            earlier = dict(json.loads(content))
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"{url}/{SETTINGS}: not the settings of a run ({error})") from error
        if changed := [name for name in {**earlier, **settings} if earlier.get(name) != settings.get(name)]:
            pairs = [(name, earlier.get(name), settings.get(name)) for name in changed]
            changes = ", ".join(
                f"{n.replace('_', ' ')} was {_told(was, now)} and is {_told(now, was)}" for n, was, now in pairs
            )
            raise InvalidInput(f"{url}: was made with other settings ({changes}); name another destination")

    def _load(self) -> None:
        self._new: set[str] = set()  # units whose entries are not in the gathered file
        for line in (self.store.read(MANIFEST) or b"").splitlines():
            entry = ManifestEntry.from_json(line, f"{self.store.url}/{MANIFEST}")
            self.entries[entry.name] = entry
        self._remove_leftovers()
        for name in self._own_files:
            if name.startswith(f"{SHARDS}/") and (data := self.store.read(name)) is not None:
                self.add(ManifestEntry.from_json(data, f"{self.store.url}/{name}"))

    def _remove_leftovers(self) -> None:
        """Remove what workers left that were lost, or whose driver was."""
        self.store.remove([*self.store.list(PARTS), *self.store.list(TRIES)])

    def _earlier_failures(self) -> Iterator[bytes]:
        if FAILURES in self._own_files:
            with self.store.open(FAILURES) as stream:
                yield from stream


def _told(value: Any, other: Any) -> Any:
    """Return a setting as a message tells it beside another one; of a finder what differs, or its name."""
    if not isinstance(value, dict):
        return value
    if isinstance(other, dict) and other.get("finder") == value.get("finder"):
        return {name: own for name, own in value.items() if other.get(name) != own}
    return value.get("finder", value)


def _without_failures(entry: ManifestEntry) -> ManifestEntry:
    return ManifestEntry(**{**entry.to_json(), "failures": ()})
