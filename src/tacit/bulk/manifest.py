"""What a run has done, shard by shard, beside the data: so that the next run does what is missing and nothing else.

DEST/_tacit/run.json           the settings
DEST/_tacit/shards/NAME.json   one entry a shard, written by the worker when the shard is in its place
DEST/_tacit/manifest.jsonl     the entries of runs that have ended, folded into one file
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
from tacit.bulk.store import OWN, PARTS, Store
from tacit.errors import InvalidInput

SHARDS = f"{OWN}/shards"
TRIES = f"{OWN}/tries"
SETTINGS = f"{OWN}/run.json"
MANIFEST = f"{OWN}/manifest.jsonl"
FAILURES = f"{OWN}/failures.jsonl"


@dataclass(frozen=True)
class Entry(Counts):
    """What came of one unit.

    inputs: the source's files, with what changes when they do. files: what was written, with bytes and sha256. psnr:
    dB, the mean over the measured images, None where there are none. seconds: by what they went to, "wall" from
    beginning to end. memory: the most bytes that the worker has ever held. warnings: what of images could not be kept,
    and how often. failures: key and reason of each image that was left out.
    """

    name: str
    inputs: Mapping[str, str]
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    psnr: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    memory: int = 0
    warnings: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[Mapping[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"name": self.name, **asdict(self)}

    @staticmethod
    def from_json(data: bytes | str, where: str) -> Entry:
        """Raises: InvalidInput."""
        try:
            fields = json.loads(data)
            return Entry(**{**fields, "failures": tuple(fields["failures"])})
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInput(f"{where}: no entry of a manifest ({type(error).__name__}: {error})") from error


def entry_name(unit: str) -> str:
    """Where a unit's entry is."""
    return f"{SHARDS}/{unit}.json"


def write_entry(store: Store, entry: Entry) -> None:
    """As a worker does when a shard is in its place. Raises: PathError."""
    store.put(entry_name(entry.name), json.dumps(entry.to_json()).encode())


def read_entry(store: Store, unit: str) -> Entry | None:
    """Of a unit that is done. Raises: PathError, InvalidInput."""
    name = entry_name(unit)
    data = store.read(name)
    return None if data is None else Entry.from_json(data, f"{store.url}/{name}")


class Manifest:
    """All entries of a destination, without the lists of failures, which may be long and are kept on disk.

    Raises: PathError; InvalidInput, where the destination holds something else, or was made with other settings.
    """

    def __init__(self, store: Store, settings: Mapping[str, Any]) -> None:
        self.store = store
        self.entries: dict[str, Entry] = {}
        self._failures: BinaryIO | None = None
        self._own = store.list(OWN)
        self._check(settings)
        self._load()

    def add(self, entry: Entry) -> None:
        """Take what a worker has done. What the unit had written before and has not written again is removed: an image
        that was there is now a bad one. Raises: PathError."""
        if (before := self.entries.get(entry.name)) is not None:
            self.store.remove(sorted(before.files.keys() - entry.files.keys()))
        for failure in entry.failures:
            self._failures = self._failures or cast(BinaryIO, tempfile.TemporaryFile())
            self._failures.write(json.dumps({"shard": entry.name, **failure}).encode() + b"\n")
        self._fresh.add(entry.name)
        self.entries[entry.name] = _without_failures(entry)

    def fold(self) -> None:
        """One file of all entries, one of all failures; the shards' own are removed. When no worker is at work."""
        self._clear()
        if not self._fresh:
            return
        with self.store.create(FAILURES) as part:
            for line in self._earlier_failures():
                if json.loads(line)["shard"] not in self._fresh:
                    part.stream.write(line)
            if self._failures is not None:
                self._failures.seek(0)
                shutil.copyfileobj(self._failures, part.stream)
        with self.store.create(MANIFEST) as part:
            for _, entry in sorted(self.entries.items()):
                part.stream.write(json.dumps(entry.to_json()).encode() + b"\n")
        self.store.remove([entry_name(name) for name in sorted(self._fresh)])

    def close(self) -> None:
        """Let go of what is on disk."""
        if self._failures is not None:
            self._failures.close()

    def _check(self, settings: Mapping[str, Any]) -> None:
        found = self.store.read(SETTINGS)
        if found is None:
            if any(not name.startswith(f"{OWN}/") for name in self.store.list()):
                raise InvalidInput(f"{self.store.url} is not empty, and not of tacit bulk: name another destination")
            self.store.put(SETTINGS, json.dumps(settings, indent=1).encode() + b"\n")
            return
        try:
            earlier = dict(json.loads(found))
        except (ValueError, TypeError) as error:
            raise InvalidInput(f"{self.store.url}/{SETTINGS}: no settings of a run ({error})") from error
        if changed := [n for n in settings if earlier.get(n) != settings[n]]:
            said = ", ".join(f"{name.replace('_', ' ')} {earlier.get(name)}, now {settings[name]}" for name in changed)
            raise InvalidInput(f"{self.store.url} was made with other settings ({said}): name another destination")

    def _load(self) -> None:
        self._fresh: set[str] = set()
        for line in (self.store.read(MANIFEST) or b"").splitlines():
            entry = Entry.from_json(line, f"{self.store.url}/{MANIFEST}")
            self.entries[entry.name] = entry
        self._clear()
        for name in self._own:
            if name.startswith(f"{SHARDS}/") and (data := self.store.read(name)) is not None:
                self.add(Entry.from_json(data, f"{self.store.url}/{name}"))

    def _clear(self) -> None:
        """What workers have left that were lost, or were a lost driver's."""
        self.store.remove([*self.store.list(PARTS), *self.store.list(TRIES)])

    def _earlier_failures(self) -> Iterator[bytes]:
        if FAILURES in self._own:
            with self.store.open(FAILURES) as stream:
                yield from stream


def _without_failures(entry: Entry) -> Entry:
    return Entry(**{**entry.to_json(), "failures": ()})
