"""Run the command line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

import click

from tacit.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, discard, print_message, print_traceback, stdout_message
from tacit.cli.group import command
from tacit.errors import TacitError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows `tacit`; None for the arguments of this process.

    Returns:
        The exit status: 0 if everything succeeded, 1 if something failed, 2 for wrong usage, and 130 after Ctrl-C.
    """
    status = 0
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not _is_from_stdout(error):
            raise
        if status == 0 and not isinstance(error, BrokenPipeError):  # otherwise it has been reported
            print_traceback(error)
            print_message(stdout_message(error))
        discard(sys.stdout)
        return status or EXIT_FAILED
    return status


def _run(arguments: Sequence[str] | None) -> int:
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # obj: the whole command line, for results that say how they were made
        status = command.main(
            arguments, prog_name="tacit", standalone_mode=False, obj=shlex.join(["tacit", *arguments])
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print_message("interrupted")
        return EXIT_INTERRUPTED
    except SystemExit as error:
        # click exits like this after completing a word for a shell, and with a 1 where the reader of our output has
        # left (`tacit --help | head -1`)
        return error.code if isinstance(error.code, int) else EXIT_FAILED
    except TacitError as error:
        print_traceback(error)
        print_message(error)
        return EXIT_FAILED
    return int(status or 0)


def _is_from_stdout(error: OSError) -> bool:
    """Return whether an error comes from standard output."""
    try:
        sys.stdout.flush()  # what could not be written is still in the buffer
    except OSError:
        return True
    # `python -u` keeps nothing that could be written again; an error about a file has the file's name.
    return error.filename is None and bool(getattr(sys.stdout, "write_through", False))
