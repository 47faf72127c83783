"""A bulk run: what is missing is found, done, and added up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace

from tacit.bulk.cluster import Cluster, connected, run_units
from tacit.bulk.job import Job, Kind
from tacit.bulk.manifest import Entry, Manifest
from tacit.bulk.sources import Plan, Source, open_source, plan
from tacit.bulk.store import Store
from tacit.bulk.summary import Outcome, Summary, Total
from tacit.captions import CaptionMap
from tacit.errors import InvalidInput, TacitError

ENOUGH_IMAGES, ENOUGH_SHARDS = 100, 10  # from which on a failure rate says something


class TooManyFailures(TacitError):
    """More images failed than was allowed. outcome: of the run so far."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. outcome: of the run so far."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def run(
    job: Job,
    cluster: Cluster | None = None,
    *,
    captions: CaptionMap | None = None,
    max_failures: float = 0.05,
    planned: Callable[[Source, Plan], object] = lambda source, plan: None,
    progress: Callable[[str, Summary], object] = lambda name, summary: None,
) -> Outcome:
    """Do what is missing of a data set.

    captions: a map, for sources that are folders. max_failures: the share of bad images, and of bad shards, above which
    the run stops; judged from 100 images on and at the end. planned: hears what is to be done before it begins.
    progress: hears the name of each unit that has ended, with what this run has done so far.

    Raises: TooManyFailures; Interrupted; PathError, InvalidInput, WeightsError, MissingExtra.
    """
    cluster = cluster or Cluster()
    if not 0 <= max_failures <= 1:
        raise InvalidInput(f"max_failures {max_failures}: a share from 0 to 1 is needed")
    source = open_source(job.source, job.kind, job.decode)
    job = replace(job, source=source.store.url, kind=source.kind, to=job.to or source.kind)
    store = Store(job.destination)
    _check_apart(source, store)
    if captions is not None and job.kind != Kind.FOLDER:
        raise InvalidInput(f"a map of captions is for images in files; these are in {job.kind} shards, with captions")
    settings = {"source": source.store.absolute, "captions": "of a map" if captions is not None else None}
    manifest = Manifest(store, settings | job.settings())
    todo = plan(source, job, manifest.entries, store.list(), captions)
    planned(source, todo)
    before = [manifest.entries[name] for name in todo.done]
    course = _Course(before, len(todo.units), max_failures)
    try:
        if todo.units:
            with connected(cluster), closing(run_units(todo.units, job, cluster)) as results:
                course.begin()
                for name, result in results:
                    if isinstance(result, Entry):
                        manifest.add(result)
                    course.take(name, result)
                    progress(name, course.now.summary())
        course.judge(at_the_end=True)
    except KeyboardInterrupt as error:
        raise Interrupted(course.outcome()) from error
    finally:
        manifest.fold()
        manifest.close()
    return course.outcome()


class _Course:
    """How the run goes."""

    def __init__(self, before: Iterable[Entry], units: int, max_failures: float) -> None:
        self.now, self.all = Total(before=()), Total(before)
        self.left, self.max_failures = units, max_failures
        self.errors: dict[str, str] = {}
        self.begun = time.perf_counter()

    def begin(self) -> None:
        """The workers are on their way."""
        self.begun = time.perf_counter()

    def take(self, name: str, result: Entry | str) -> None:
        """What came of a unit. Raises: TooManyFailures."""
        if isinstance(result, Entry):
            self.now.add(result)
            self.all.add(result)
            self.left -= 1
        else:
            self.errors[name] = result
        self.judge()

    def judge(self, at_the_end: bool = False) -> None:
        """Raises: TooManyFailures."""
        total = self.all.summary()
        for bad, good, what, enough in (
            (total.failed, total.images, "images", ENOUGH_IMAGES),
            (len(self.errors), total.shards, "shards", ENOUGH_SHARDS),
        ):
            seen = bad + good
            if bad > self.max_failures * seen and (at_the_end or seen >= enough):
                raise TooManyFailures(
                    f"{bad:,} of {seen:,} {what} cannot be used ({bad / seen:.2%}); "
                    f"--max-failures allows {100 * self.max_failures:g}%",
                    self.outcome(),
                )

    def outcome(self) -> Outcome:
        """So far."""
        seconds = time.perf_counter() - self.begun
        return Outcome(self.now.summary(), self.all.summary(), dict(self.errors), self.left, seconds)


def _check_apart(source: Source, destination: Store) -> None:
    """A destination inside the source would be taken for a part of it next time; beside files that were named, not."""
    inner, outer = f"{destination.absolute.rstrip('/')}/", f"{source.store.absolute.rstrip('/')}/"
    below = inner.startswith(outer) and (source.whole or any(f"{outer}{n}".startswith(inner) for n in source.files))
    if below or outer.startswith(inner):
        raise InvalidInput(f"{destination.url} and {source.store.url} are in each other: name another destination")
