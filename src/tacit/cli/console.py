"""The console: lines on standard error, exit statuses, and what to do when a standard stream takes nothing more."""

from __future__ import annotations

import contextlib
import os
import traceback
import warnings
from collections.abc import Iterator
from typing import TextIO

import click

from tacit import files

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def print_message(text: object) -> None:
    """Print a line on standard error, with the program's name in front."""
    printable = f"tacit: {text}".encode("utf-8", "backslashreplace").decode()  # a path need not be UTF-8
    click.echo(printable, err=True)


@contextlib.contextmanager
def printed_warnings() -> Iterator[None]:
    """Print Python's warnings as lines, without the places in the code that they come from."""

    def show(message: Warning | str, category: object, *_: object, **__: object) -> None:
        print_message(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def print_traceback(error: BaseException) -> None:
    """Print an error's traceback, if the environment variable TACIT_DEBUG asks for it."""
    if os.environ.get("TACIT_DEBUG"):
        traceback.print_exception(error)


def stdout_message(error: OSError) -> str:
    """Return the message for a standard output that cannot be written."""
    return f"cannot write standard output: {files.reason(error)}"


def discard(stream: TextIO) -> None:
    """Send a standard stream to nowhere: otherwise Python would fail again when it flushes the rest."""
    with contextlib.suppress(OSError):  # the stream need not be a file of the system
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
