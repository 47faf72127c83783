"""Run the command line."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

import click

from tacit.cli.group import command
from tacit.cli.output import EXIT_FAILED, EXIT_INTERRUPTED, debug, give_up, stdout_lost
from tacit.errors import TacitError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 all good, 1 something failed, 2 usage, 130 interrupted."""
    status = 0
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not _from_stdout(error):
            raise
        if status == 0 and not isinstance(error, BrokenPipeError):  # else it has been said
            debug(error)
            click.echo(f"tacit: {stdout_lost(error)}", err=True)
        give_up(sys.stdout)
        return status or EXIT_FAILED
    return status


def _run(arguments: Sequence[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # obj: the command as it was given, for results that say how they were made
        status = command.main(given, prog_name="tacit", standalone_mode=False, obj=shlex.join(["tacit", *given]))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("tacit: interrupted", err=True)
        return EXIT_INTERRUPTED
    except SystemExit:  # click's way out where the reader of our output has left (`tacit --help | head -1`)
        return EXIT_FAILED
    except TacitError as error:
        debug(error)
        click.echo(f"tacit: {error}", err=True)
        return EXIT_FAILED
    return int(status or 0)


def _from_stdout(error: OSError) -> bool:
    """Whether the error comes from standard output."""
    try:
        sys.stdout.flush()  # what could not be written is still there
    except OSError:
        return True
    # `python -u` keeps nothing that could be tried again; an error about a file has its name.
    return error.filename is None and bool(getattr(sys.stdout, "write_through", False))
