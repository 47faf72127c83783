"""The progress of evaluations and studies on standard error: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from tacit.cli.console import print_message
from tacit.errors import InvalidInput, UnknownModel


class ProgressBar:
    """Shows how far an evaluation is; it serves as `tacit.evaluation.progress.EvalProgress`.

    Args:
        quiet: Show no bar; warnings are shown all the same.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None

    def begin(self, total: int, known: int) -> None:
        """Begin with `total` files, of which `known` are done already."""
        self.close()  # that of an earlier run
        if not self._quiet:
            from tqdm import tqdm

            interval = 0.1 if sys.stderr.isatty() else 30
            self._bar = tqdm(total=total, initial=known, unit="file", mininterval=interval, dynamic_ncols=True)

    def done(self, text: str) -> None:
        """Count one more file, which `text` names."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()

    def say(self, text: str) -> None:
        """Print a line beside the bar."""
        if self._bar is None:
            print_message(text)
        else:
            with self._bar.external_write_mode(file=sys.stderr):
                print_message(text)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class DownloadProgress:
    """Shows on a terminal how much of a file is there."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> DownloadProgress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, size: int) -> None:
        """Show that `done` of `size` bytes are there."""
        if self._bar is None:
            from tqdm import tqdm

            quiet = not sys.stderr.isatty()
            self._bar = tqdm(total=size, unit="B", unit_scale=True, disable=quiet, leave=False, dynamic_ncols=True)
        self._bar.update(done - self._bar.n)


@contextmanager
def resumable_progress(output: str, quiet: bool) -> Iterator[ProgressBar]:
    """Show the progress of a run that keeps in a folder what is done, and say so if it is interrupted.

    Args:
        output: The folder.
        quiet: Show no bar.

    Raises:
        click.UsageError: The run was asked for something that is not possible.
    """
    progress = ProgressBar(quiet)
    try:
        yield progress
    except (UnknownModel, InvalidInput) as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        progress.say(f"what is done is kept in {output}; run the same command again to go on from there")
        raise
    finally:
        progress.close()
