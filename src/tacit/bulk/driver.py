"""The driver of a bulk run: it finds what is missing, has workers do it, and adds up the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace

from tacit.bulk.cluster import Cluster, connect
from tacit.bulk.job import BoxSource, BulkJob, StorageKind
from tacit.bulk.manifest import Manifest, ManifestEntry
from tacit.bulk.plan import Plan, make_plan
from tacit.bulk.source import Source, open_source
from tacit.bulk.store import ShardStore
from tacit.bulk.summary import RunningTotal, RunOutcome, RunSummary
from tacit.bulk.workers import run_units
from tacit.captions import CaptionMap
from tacit.errors import InvalidInput, TacitError
from tacit.finding.box_map import BoxMap

ENOUGH_IMAGES, ENOUGH_SHARDS = 100, 10  # from which on a failure rate is meaningful


class RunFailed(TacitError):
    """A run that came to no good end.

    Attributes:
        outcome: What the run has done so far.
    """

    def __init__(self, message: str, outcome: RunOutcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class TooManyFailures(RunFailed):
    """A run whose share of bad images or shards became too large."""


class NoImages(RunFailed):
    """A run whose source has no image at all."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run.

    Attributes:
        outcome: What the run has done so far.
    """

    def __init__(self, outcome: RunOutcome) -> None:
        super().__init__()
        self.outcome = outcome


def run(
    job: BulkJob,
    cluster: Cluster | None = None,
    *,
    captions: CaptionMap | None = None,
    boxes: BoxMap | None = None,
    max_failures: float = 0.05,
    on_plan: Callable[[Source, Plan], object] = lambda source, plan: None,
    on_progress: Callable[[str, RunSummary], object] = lambda name, summary: None,
) -> RunOutcome:
    """Convert what is missing of a data set.

    Args:
        job: The settings of the run.
        cluster: Where it takes place; None for one local worker.
        captions: Captions of images, for sources that are folders.
        boxes: Boxes of what matters in images, to which they are steered.
        max_failures: The share of bad images, and of bad shards, above which the run stops, 0 to 1; judged from 100
            images or 10 shards on, and at the end.
        on_plan: Called with the source and what is to be done, before it begins.
        on_progress: Called with the name of each unit that has ended, and what this run has done so far.

    Raises:
        TooManyFailures: More images or shards failed than `max_failures` allows.
        NoImages: There is no image in the whole source.
        Interrupted: Ctrl-C, or SIGTERM.
        PathError: The source cannot be read, or the destination cannot be written.
        InvalidInput: The settings do not go with the source or the destination.
        WeightsError: The model's weights cannot be used.
        MissingExtra: Ray or another library is not installed.
    """
    cluster = cluster or Cluster()
    if not 0 <= max_failures <= 1:
        raise InvalidInput(f"max_failures must be 0 to 1, got {max_failures:g}")
    source = open_source(job.source, job.source_kind, job.decode)
    output_kind = job.output_kind or source.kind
    job = replace(job, source=source.store.url, source_kind=source.kind, output_kind=output_kind)
    if boxes is not None:
        job = replace(job, box_source=BoxSource.LIST)
    elif job.box_source == BoxSource.LIST:
        raise InvalidInput("boxes of a list need the list")
    if job.box_source == BoxSource.SIDECARS and job.source_kind == StorageKind.PARQUET:
        raise InvalidInput("boxes in sidecars need images in files or in tar shards; these are in parquet shards")
    store = ShardStore(job.destination)
    _check_apart(source, store)
    if captions is not None and job.source_kind != StorageKind.FOLDER:
        raise InvalidInput(f"a caption map needs images in files; these are in {job.source_kind} shards")
    settings = {"source": source.store.absolute, "captions": "of a map" if captions is not None else None}
    manifest = Manifest(store, settings | job.settings())
    plan = make_plan(source, job, manifest.entries, store.list(), captions, boxes)
    on_plan(source, plan)
    before = [manifest.entries[name] for name in plan.done]
    state = _RunState(before, len(plan.units), max_failures)
    try:
        if plan.units:
            with connect(cluster), closing(run_units(plan.units, job, cluster)) as results:
                state.begin()
                for name, result in results:
                    if isinstance(result, ManifestEntry):
                        manifest.add(result)
                    state.take(name, result)
                    on_progress(name, state.now.summary())
        state.check_failures(at_the_end=True)
        state.check_images()
    except KeyboardInterrupt as error:
        raise Interrupted(state.outcome()) from error
    finally:
        manifest.gather()
        manifest.close()
    return state.outcome()


class _RunState:
    """What a run has done so far."""

    def __init__(self, before: Iterable[ManifestEntry], units: int, max_failures: float) -> None:
        self.now, self.all = RunningTotal(), RunningTotal(before)
        self.left, self.max_failures = units, max_failures
        self.errors: dict[str, str] = {}
        self.start = time.perf_counter()

    def begin(self) -> None:
        """Take the time from now on: the workers are on their way."""
        self.start = time.perf_counter()

    def take(self, name: str, result: ManifestEntry | str) -> None:
        """Take the result of a unit, and raise TooManyFailures where it is one too many."""
        if isinstance(result, ManifestEntry):
            self.now.add(result)
            self.all.add(result)
            self.left -= 1
        else:
            self.errors[name] = result
        self.check_failures()

    def check_failures(self, at_the_end: bool = False) -> None:
        """Raise TooManyFailures where the share of failures is too large and means something."""
        total = self.all.summary()
        for bad, good, noun, enough in (
            (total.failed, total.images, "images", ENOUGH_IMAGES),
            (len(self.errors), total.shards, "shards", ENOUGH_SHARDS),
        ):
            seen = bad + good
            if bad > self.max_failures * seen and (at_the_end or seen >= enough):
                raise TooManyFailures(
                    f"{bad:,} of {seen:,} {noun} cannot be used ({bad / seen:.2%}); "
                    f"--max-failures allows {100 * self.max_failures:g}%",
                    self.outcome(),
                )

    def check_images(self) -> None:
        """Raise NoImages where all is done, and there was no image."""
        total = self.all.summary()
        if total.shards and not (self.errors or self.left or total.images or total.failed):
            # The warnings of earlier runs are kept as well, and say why.
            reasons = "; ".join(total.warnings)
            raise NoImages(f"no image in {total.shards:,} shards{': ' if reasons else ''}{reasons}", self.outcome())

    def outcome(self) -> RunOutcome:
        """Return what the run has done so far."""
        return RunOutcome(
            now=self.now.summary(),
            all=self.all.summary(),
            errors=dict(self.errors),
            left=self.left,
            seconds=time.perf_counter() - self.start,
        )


def _check_apart(source: Source, destination: ShardStore) -> None:
    """Raise InvalidInput where a destination inside the source would be taken for a part of it by the next run."""
    inner, outer = f"{destination.absolute.rstrip('/')}/", f"{source.store.absolute.rstrip('/')}/"
    below = inner.startswith(outer) and (source.whole or any(f"{outer}{n}".startswith(inner) for n in source.files))
    if below or outer.startswith(inner):
        raise InvalidInput(f"{destination.url} and {source.store.url} are in each other; name another destination")
