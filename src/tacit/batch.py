"""The same work on many files: one bad file is reported and the rest go on; Ctrl-C stops between files."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from tacit.errors import InvalidInput, TacitError
from tacit.files import Task

Record = Mapping[str, Any]
"""What is reported about a file that was processed: names and values fit for JSON."""

WarningFilter = tuple[Literal["always", "ignore"], type[Warning]]
"""What to do with warnings of one kind."""


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """How the work on one file ended."""

    task: Task
    """The file."""
    record: Record | None = None
    """What is reported about the file; None if the work failed."""
    error: Exception | None = None
    """Why the work failed; None if it did not."""
    warnings: tuple[str, ...] = ()
    """The warnings that the work caused."""
    seconds: float = 0.0
    """How long the work took; 0 if it failed."""


@dataclass(frozen=True)
class BatchSummary:
    """How a batch ended. Files that are neither done nor failed were not begun when it was interrupted."""

    total: int
    """The number of files."""
    done: int
    """The number of files that were processed."""
    failed: int
    """The number of files that could not be processed."""
    interrupted: bool
    """Whether Ctrl-C ended the batch."""


def run(
    tasks: Sequence[Task],
    work: Callable[[Task], Record],
    report: Callable[[FileOutcome], None],
    *,
    jobs: int = 1,
    filters: Sequence[WarningFilter] = (),
    interrupted: threading.Event | None = None,
) -> BatchSummary:
    """Do the work on every file, and report each outcome in the caller's thread.

    Nearly all of the time goes to the transforms, which release Python's lock, so threads serve, and they share one set
    of weights. On Ctrl-C, files that are in progress in other threads are finished and no more are begun; work that
    takes long may look at `interrupted` and raise KeyboardInterrupt instead.

    Args:
        tasks: The files.
        work: Does the work on one file, and returns what is reported about it.
        report: Takes each outcome: in the order of the files with 1 job, otherwise as the files are done.
        jobs: The number of threads; with 1, everything happens in the caller's thread.
        filters: What to do with warnings, by their kind; by default a warning is reported for the first file that
            causes it.
        interrupted: Is set on Ctrl-C.
    """
    done = failed = 0
    interrupted = interrupted or threading.Event()

    def account(outcome: FileOutcome) -> None:
        nonlocal done, failed
        done += outcome.error is None
        failed += outcome.error is not None

    with _collected_warnings(filters) as collected:

        def process(task: Task) -> FileOutcome:
            collected.messages = []
            start = time.perf_counter()
            try:
                if task.problem is not None:
                    raise task.problem
                record = work(task)
            except BrokenPipeError:
                raise  # nobody reads any more: the batch is over
            except Exception as error:
                return FileOutcome(task=task, error=_explained(error), warnings=tuple(collected.messages))
            seconds = time.perf_counter() - start
            return FileOutcome(task=task, record=record, warnings=tuple(collected.messages), seconds=seconds)

        if jobs == 1:
            try:
                for task in tasks:
                    outcome = process(task)
                    account(outcome)
                    report(outcome)
            except KeyboardInterrupt:
                interrupted.set()
        else:
            futures: list[Future[FileOutcome]] = []
            reported: set[Future[FileOutcome]] = set()
            with ThreadPoolExecutor(jobs, thread_name_prefix="tacit") as pool:
                try:
                    futures.extend(pool.submit(process, task) for task in tasks)  # the first ones begin meanwhile
                    for future in as_completed(futures):
                        outcome = future.result()
                        reported.add(future)
                        report(outcome)
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        interrupted.set()
                    pool.shutdown(wait=True, cancel_futures=True)
                    if not isinstance(error, KeyboardInterrupt):
                        raise
            # Ctrl-C comes between any two lines above, so files are counted here, where all threads have ended
            for future, outcome in _finished(futures):
                account(outcome)
                if future not in reported:
                    report(outcome)
    return BatchSummary(len(tasks), done, failed, interrupted.is_set())


def _finished(futures: Iterable[Future[FileOutcome]]) -> Iterator[tuple[Future[FileOutcome], FileOutcome]]:
    """Yield those that were neither cancelled nor ended by Ctrl-C, with their outcomes."""
    for future in futures:
        if not future.cancelled() and not isinstance(future.exception(), KeyboardInterrupt):
            yield future, future.result()


def _explained(error: Exception) -> Exception:
    """Return an error that tacit raised as it is, and another one as a TacitError whose cause keeps the traceback."""
    if isinstance(error, TacitError):
        return error
    explained: TacitError
    if isinstance(error, MemoryError):
        explained = InvalidInput("not enough memory")
    else:
        explained = TacitError(f"unexpected {type(error).__name__}: {error} (TACIT_DEBUG=1 shows where; please report)")
    explained.__cause__ = error
    return explained


class _Messages(threading.local):
    """The warnings of the file that a thread works on."""

    messages: list[str]


@contextlib.contextmanager
def _collected_warnings(filters: Sequence[WarningFilter]) -> Iterator[_Messages]:
    """Collect Python's warnings as text, by thread.

    `warnings.catch_warnings(record=True)` inside a thread would mix up the threads' warnings, so the one hook that
    Python has sorts them. Warnings of a thread that works on no file go where they always go.
    """
    collected = _Messages()
    with warnings.catch_warnings():
        original = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if hasattr(collected, "messages"):
                collected.messages.append(str(message))
            else:
                original(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        for action, category in filters:
            warnings.simplefilter(action, category)
        yield collected
