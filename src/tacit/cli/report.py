"""The outcome of each file of a batch, said as it comes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from tacit.batch import Filter, Outcome, Record, Summary, run
from tacit.cli.output import EXIT_FAILED, EXIT_INTERRUPTED, as_line, debug, give_up, stdout_lost
from tacit.errors import TacitError
from tacit.files import STDIO, Task


class Report:
    """Says what comes of each file: a line or a JSON object, warnings, errors, progress, and a summary of several.

    The conversions go on where nothing can be said any more: quietly where the reader has left (`| head -1`), else
    with a line on standard error and a status that says that something failed.

    line: what is said of a record, after the names of the files. fatal: an error that ends the batch, since every file
    would have it.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        line: Callable[[Record], str],
        as_json: bool,
        quiet: bool,
        fatal: type[TacitError] | None = None,
    ) -> None:
        self._fatal = fatal
        self._tasks = tasks
        self._line = line
        self._json = as_json
        self._quiet = quiet
        self._data_on_stdout = any(task.output == STDIO for task in tasks)
        self._bar: Any = None
        self._lost = False

    def follow(self, work: Callable[[Task], Record], jobs: int, filters: Sequence[Filter] = ()) -> int:
        """Run the batch and return the exit status."""
        if len(self._tasks) > 1 and not self._quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=len(self._tasks), unit="file", dynamic_ncols=True, leave=False)
        try:
            summary = run(self._tasks, work, self._outcome, jobs=jobs, filters=filters)
        finally:
            if self._bar is not None:
                self._bar.close()
        return self._summary(summary)

    def _outcome(self, outcome: Outcome) -> None:
        task = outcome.task
        if self._fatal is not None and isinstance(outcome.error, self._fatal):
            raise outcome.error
        name = "standard input" if task.source == STDIO else task.source
        warnings = [_without_name(text, task) for text in outcome.warnings]
        for warning in warnings:
            self._say(f"tacit: {name}: warning: {warning}", err=True)
        if outcome.error is not None:
            debug(outcome.error)
            self._say(f"tacit: {name}: {_without_name(outcome.error, task)}", err=True)
        if self._json:
            said: dict[str, object] = {"file": task.source}
            if outcome.error is not None:
                said |= {"error": _without_name(outcome.error, task), "kind": type(outcome.error).__name__}
            elif outcome.record is not None:
                said |= {"output": task.output} if task.output else {}
                said |= {**outcome.record, "seconds": round(outcome.seconds, 3)}
            said |= {"warnings": warnings} if warnings else {}
            self._say(as_line(said))
        elif outcome.record is not None and not self._quiet:
            arrow = f" -> {task.output}  " if task.output else ""
            self._say(f"{task.source}{arrow}{self._line(outcome.record)}", err=self._data_on_stdout)
        if self._bar is not None:
            self._bar.update()

    def _summary(self, summary: Summary) -> int:
        if summary.interrupted:
            self._say(f"tacit: interrupted: {summary.done} of {summary.total} files done", err=True)
            return EXIT_INTERRUPTED
        if summary.total > 1 and (summary.failed or not self._quiet):
            failed = f", {summary.failed} failed" if summary.failed else ""
            self._say(f"tacit: {summary.done} of {summary.total} files done{failed}", err=True)
        return EXIT_FAILED if summary.failed or self._lost else 0

    def _say(self, text: str, err: bool = False) -> None:
        text = text.encode("utf-8", "backslashreplace").decode()  # a path need not be UTF-8
        try:
            if self._bar is None:
                click.echo(text, err=err)
            else:
                with self._bar.external_write_mode(file=sys.stderr if err else sys.stdout):
                    click.echo(text, err=err)
        except OSError as error:
            give_up(sys.stderr if err else sys.stdout)
            if not isinstance(error, BrokenPipeError) and not self._lost:
                self._lost = True
                if not err:
                    rest = " (the work goes on)" if len(self._tasks) > 1 else ""
                    self._say(f"tacit: {stdout_lost(error)}{rest}", err=True)


def _without_name(message: object, task: Task) -> str:
    """One line, without the file's name in front: the line that it goes into begins with that."""
    name = "image: " if task.source == STDIO else f"{task.source}: "
    return " ".join(str(message).removeprefix(name).split())
