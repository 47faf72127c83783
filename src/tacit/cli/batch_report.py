"""The report of a batch: what the command line prints about each of its files, as the files are done."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import click

from tacit.batch import BatchSummary, FileOutcome, Record, WarningFilter, run
from tacit.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, discard, print_traceback, stdout_message
from tacit.cli.formatting import json_line
from tacit.errors import TacitError
from tacit.files import STDIO, Task

SLOW_BAR = "{percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
"""The bar of files whose work has parts: the time that is left follows from them."""


class BatchReport:
    """Prints each file's result as a line or a JSON object, with warnings, errors, progress, and a summary of several.

    The conversions go on where nothing can be printed any more: quietly where the reader has left (`| head -1`),
    otherwise with a line on standard error and an exit status that says that something failed.

    Args:
        tasks: The files.
        line: Turns a file's record into what is printed behind the names of the files.
        as_json: Print one JSON object for each file instead.
        quiet: Print only warnings and errors.
        fatal: An error that ends the batch, because every file would have it.
        slow: Whether one file takes long enough for a bar that shows the parts of its work.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        line: Callable[[Record], str],
        *,
        as_json: bool,
        quiet: bool,
        fatal: type[TacitError] | None = None,
        slow: bool = False,
    ) -> None:
        self._tasks = tasks
        self._line = line
        self._as_json = as_json
        self._quiet = quiet
        self._fatal = fatal
        self._slow = slow
        self._parts: dict[Task, float] = {}  # of the files that are being worked on, what is done
        self._lock = threading.Lock()
        self._interrupted = threading.Event()
        self._data_on_stdout = any(task.output == STDIO for task in tasks)
        self._bar: Any = None
        self._stdout_lost = False

    def run(self, work: Callable[[Task], Record], jobs: int, filters: Sequence[WarningFilter] = ()) -> int:
        """Run the batch.

        Args:
            work: Does the work on one file.
            jobs: The number of files at a time.
            filters: What to do with warnings, by their kind.

        Returns:
            The exit status.
        """
        if (len(self._tasks) > 1 or self._slow) and not self._quiet and sys.stderr.isatty():
            from tqdm import tqdm

            form = {"bar_format": SLOW_BAR} if self._slow else {}
            self._bar = tqdm(total=len(self._tasks), unit="file", dynamic_ncols=True, leave=False, **form)
        try:
            summary = run(
                self._tasks, work, self._print_outcome, jobs=jobs, filters=filters, interrupted=self._interrupted
            )
        finally:
            if self._bar is not None:
                self._bar.close()
        return self._print_summary(summary)

    def advance(self, task: Task, part: float) -> None:
        """Show how much of the work on a file is done, up to 1.

        Raises:
            KeyboardInterrupt: The batch was interrupted, so that this work is to end.
        """
        if self._interrupted.is_set():
            raise KeyboardInterrupt
        with self._lock:
            if self._bar is not None:
                self._bar.update(part - self._parts.get(task, 0))
            self._parts[task] = part

    def _print_outcome(self, outcome: FileOutcome) -> None:
        task = outcome.task
        if self._fatal is not None and isinstance(outcome.error, self._fatal):
            raise outcome.error
        name = "standard input" if task.source == STDIO else task.source
        warnings = [_without_name(text, task) for text in outcome.warnings]
        for warning in warnings:
            self._print(f"tacit: {name}: warning: {warning}", err=True)
        if outcome.error is not None:
            print_traceback(outcome.error)
            self._print(f"tacit: {name}: {_without_name(outcome.error, task)}", err=True)
        if self._as_json:
            values: dict[str, object] = {"file": task.source}
            if outcome.error is not None:
                values |= {"error": _without_name(outcome.error, task), "kind": type(outcome.error).__name__}
            elif outcome.record is not None:
                values |= {"output": task.output} if task.output else {}
                values |= {**outcome.record, "seconds": round(outcome.seconds, 3)}
            values |= {"warnings": warnings} if warnings else {}
            self._print(json_line(values))
        elif outcome.record is not None and not self._quiet:
            arrow = f" -> {task.output}  " if task.output else ""
            self._print(f"{task.source}{arrow}{self._line(outcome.record)}", err=self._data_on_stdout)
        if self._bar is not None:
            with self._lock:
                self._bar.update(1 - self._parts.pop(task, 0))

    def _print_summary(self, summary: BatchSummary) -> int:
        if summary.interrupted:
            self._print(f"tacit: interrupted: {summary.done} of {summary.total} files done", err=True)
            return EXIT_INTERRUPTED
        if summary.total > 1 and (summary.failed or not self._quiet):
            failed = f", {summary.failed} failed" if summary.failed else ""
            self._print(f"tacit: {summary.done} of {summary.total} files done{failed}", err=True)
        return EXIT_FAILED if summary.failed or self._stdout_lost else 0

    def _print(self, text: str, err: bool = False) -> None:
        text = text.encode("utf-8", "backslashreplace").decode()  # a path need not be UTF-8
        try:
            if self._bar is None:
                click.echo(text, err=err)
            else:
                with self._bar.external_write_mode(file=sys.stderr if err else sys.stdout):
                    click.echo(text, err=err)
        except OSError as error:
            discard(sys.stderr if err else sys.stdout)
            if not isinstance(error, BrokenPipeError) and not self._stdout_lost:
                self._stdout_lost = True
                if not err:
                    rest = " (the work goes on)" if len(self._tasks) > 1 else ""
                    self._print(f"tacit: {stdout_message(error)}{rest}", err=True)


def _without_name(message: object, task: Task) -> str:
    """Return a message on one line and without the file's name in front, because the printed line begins with it."""
    name = "image: " if task.source == STDIO else f"{task.source}: "
    return " ".join(str(message).removeprefix(name).split())
