"""Sums over the units of a run, and of all runs before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tacit.bulk.counts import COUNTS, Counts
from tacit.bulk.manifest import ManifestEntry


@dataclass(frozen=True, kw_only=True)
class RunSummary(Counts):
    """The counts of entries, added up, and what else is known of them together."""

    shards: int = 0
    """The number of entries."""
    psnr: float | None = None
    """The mean PSNR of the measured images in dB; None where no image was measured."""
    spent: Mapping[str, float] = field(default_factory=dict)
    """Seconds of all workers, by activity."""
    memory: int = 0
    """The most bytes that any worker held."""
    warnings: Mapping[str, int] = field(default_factory=dict)
    """What could not be kept of images, and how often."""

    @property
    def ratio(self) -> float | None:
        """The images' bytes before, divided by those after; None where there are none."""
        return self.bytes_in / self.bytes_out if self.bytes_out else None

    @property
    def failure_rate(self) -> float:
        """The share of the images that failed, 0 to 1."""
        seen = self.images + self.failed
        return self.failed / seen if seen else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON has it."""
        return {"shards": self.shards, **asdict(self), "ratio": self.ratio}


class RunningTotal:
    """Entries that are added up as they come.

    Args:
        before: Entries to begin with.
    """

    def __init__(self, before: Iterable[ManifestEntry] = ()) -> None:
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._spent: dict[str, float] = {}
        self._warnings: Counter[str] = Counter()
        self._decibels = 0.0
        self._shards = self._memory = 0
        for entry in before:
            self.add(entry)

    def add(self, entry: ManifestEntry) -> None:
        """Add one entry."""
        self._shards += 1
        self._counts.update({name: getattr(entry, name) for name in COUNTS})
        self._warnings.update(entry.warnings)
        for name, seconds in entry.seconds.items():
            self._spent[name] = self._spent.get(name, 0.0) + seconds
        self._decibels += entry.measured * (entry.psnr or 0.0)
        self._memory = max(self._memory, entry.memory)

    def summary(self) -> RunSummary:
        """Return the sums over the entries so far."""
        measured = self._counts["measured"]
        return RunSummary(
            shards=self._shards,
            **self._counts,
            psnr=self._decibels / measured if measured else None,
            spent=dict(self._spent),
            memory=self._memory,
            warnings=dict(self._warnings),
        )


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """What a run has done, and what is left."""

    now: RunSummary
    """What this run did."""
    all: RunSummary
    """What this run and earlier ones did."""
    errors: Mapping[str, str]
    """Shards that could not be done, with the reason."""
    left: int
    """The number of shards that are still to be done, those in `errors` among them."""
    seconds: float
    """The time that the run took, from the first unit on."""

    @property
    def speed(self) -> float | None:
        """Images per second in this run; None where it had none."""
        return self.now.images / self.seconds if self.seconds and self.now.images else None

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON has it."""
        return {
            "now": self.now.to_json(),
            "all": self.all.to_json(),
            "errors": dict(self.errors),
            "left": self.left,
            "seconds": self.seconds,
            "images_per_second": self.speed,
        }
