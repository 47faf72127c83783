"""What came of a run, and of all runs before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tacit.bulk.counts import COUNTS, Counts
from tacit.bulk.manifest import Entry


@dataclass(frozen=True)
class Summary(Counts):
    """Counts are those of entries, added up over `shards`. psnr: the mean over the measured images, in dB, None
    where none was. spent: seconds of all workers, by what they went to. memory: the most that a worker held, in bytes.
    warnings: what of images could not be kept, how often.
    """

    shards: int = 0
    psnr: float | None = None
    spent: Mapping[str, float] = field(default_factory=dict)
    memory: int = 0
    warnings: Mapping[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Of the images' bytes before and after."""
        return self.bytes_in / self.bytes_out if self.bytes_out else None

    @property
    def failure_rate(self) -> float:
        """Of the images."""
        seen = self.images + self.failed
        return self.failed / seen if seen else 0.0

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"shards": self.shards, **asdict(self), "ratio": self.ratio}


class Total:
    """Entries, added up as they come."""

    def __init__(self, before: Iterable[Entry] = ()) -> None:
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._spent: dict[str, float] = {}
        self._warnings: Counter[str] = Counter()
        self._decibels = 0.0
        self._shards = self._memory = 0
        for entry in before:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """One more."""
        self._shards += 1
        self._counts.update({name: getattr(entry, name) for name in COUNTS})
        self._warnings.update(entry.warnings)
        for name, seconds in entry.seconds.items():
            self._spent[name] = self._spent.get(name, 0.0) + seconds
        self._decibels += entry.measured * (entry.psnr or 0.0)
        self._memory = max(self._memory, entry.memory)

    def summary(self) -> Summary:
        """So far."""
        measured = self._counts["measured"]
        return Summary(
            self._shards,
            **self._counts,
            psnr=self._decibels / measured if measured else None,
            spent=dict(self._spent),
            memory=self._memory,
            warnings=dict(self._warnings),
        )


@dataclass(frozen=True)
class Outcome:
    """now: what this run did, in `seconds` from the first unit on; all: with what earlier runs did. errors: shards that
    could not be done, with the reason. left: how many are still to be done, those among them."""

    now: Summary
    all: Summary
    errors: Mapping[str, str]
    left: int
    seconds: float

    @property
    def speed(self) -> float | None:
        """Images a second."""
        return self.now.images / self.seconds if self.seconds and self.now.images else None

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        about = {
            "errors": dict(self.errors),
            "left": self.left,
            "seconds": self.seconds,
            "images_per_second": self.speed,
        }
        return {"now": self.now.to_json(), "all": self.all.to_json(), **about}
