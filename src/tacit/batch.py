"""The same work on many files: one bad file is reported and the rest go on; Ctrl-C stops between files."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Literal, TextIO

from tacit.errors import InvalidInput, TacitError
from tacit.files import Task

Record = Mapping[str, object]
"""What is said of a converted file: names and values fit for JSON."""

Filter = tuple[Literal["always", "ignore"], type[Warning]]
"""What to do with warnings of one kind."""


@dataclass(frozen=True)
class Outcome:
    """What came of one task: its `record` with the `seconds` it took, or its `error`; and the warnings on the way."""

    task: Task
    record: Record | None = None
    error: Exception | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Summary:
    """How a batch ended: `done` and `failed` of `total`; the rest were not begun when it was interrupted."""

    total: int
    done: int
    failed: int
    interrupted: bool


def run(
    tasks: Sequence[Task],
    work: Callable[[Task], Record],
    report: Callable[[Outcome], None],
    *,
    jobs: int = 1,
    filters: Sequence[Filter] = (),
) -> Summary:
    """Do `work` on every task, and `report` each outcome in the caller's thread.

    jobs: threads. Nearly all of the time goes to the transforms, which release Python's lock, and threads share one
    set of weights; with 1, everything happens in the caller's thread. Outcomes come in the order of the tasks with 1
    job, as they end with more. filters: of warnings; by default a warning is shown for the first file that has it.

    On Ctrl-C, tasks in progress in other threads are finished and no more are begun.
    """
    done = failed = 0

    def account(outcome: Outcome) -> None:
        nonlocal done, failed
        done += outcome.error is None
        failed += outcome.error is not None
        report(outcome)

    with _collected_warnings(filters) as collected:

        def one(task: Task) -> Outcome:
            collected.messages = []
            start = time.perf_counter()
            try:
                if task.problem is not None:
                    raise task.problem
                record = work(task)
            except BrokenPipeError:
                raise  # nobody reads any more: the batch is over
            except Exception as error:
                return Outcome(task, error=_explained(error), warnings=tuple(collected.messages))
            return Outcome(task, record, None, tuple(collected.messages), time.perf_counter() - start)

        interrupted = False
        if jobs == 1:
            try:
                for task in tasks:
                    account(one(task))
            except KeyboardInterrupt:
                interrupted = True
        else:
            reported: set[Future[Outcome]] = set()
            with ThreadPoolExecutor(jobs, thread_name_prefix="tacit") as pool:
                futures = [pool.submit(one, task) for task in tasks]
                try:
                    for future in as_completed(futures):
                        reported.add(future)
                        account(future.result())
                except BaseException as error:
                    pool.shutdown(wait=True, cancel_futures=True)
                    if not isinstance(error, KeyboardInterrupt):
                        raise
                    interrupted = True
            if interrupted:
                for future in futures:
                    if future not in reported and not future.cancelled():
                        account(future.result())
    return Summary(len(tasks), done, failed, interrupted)


def _explained(error: Exception) -> Exception:
    """`error`, or for one that tacit did not raise, one that says so; its cause keeps the traceback."""
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
    messages: list[str]


@contextlib.contextmanager
def _collected_warnings(filters: Sequence[Filter]) -> Iterator[_Messages]:
    """Python's warnings, by thread, as text.

    `warnings.catch_warnings(record=True)` inside a thread would mix up the threads' warnings, so the one hook that
    there is sorts them. Warnings of a thread that works on no task go where they always go.
    """
    collected = _Messages()
    with warnings.catch_warnings():
        elsewhere = warnings.showwarning

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
                elsewhere(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        for action, category in filters:
            warnings.simplefilter(action, category)
        yield collected
