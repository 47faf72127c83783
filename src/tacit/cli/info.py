"""`tacit info`: what `.tacit` files hold."""

from __future__ import annotations

import dataclasses

import click

from tacit import files
from tacit.batch import Record
from tacit.cli.batch_report import BatchReport
from tacit.cli.formatting import field_lines
from tacit.cli.group import command
from tacit.cli.options import json_option
from tacit.files import Task


@command.command(
    short_help="Show what .tacit files hold, without decoding them.",
    epilog="""\b
Examples:
  tacit info photo.tacit
  tacit info --json small/ | jq -r 'select(.bpp > 0.5).file'
""",
)
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|- ...", nargs=-1, required=True)
@json_option
def info(inputs: tuple[str, ...], as_json: bool) -> int:
    """Show what .tacit files hold, such as size, quality, model and caption, without decoding them."""
    tasks = files.find(inputs, files.TACIT_SUFFIXES)
    return BatchReport(tasks, _result_line, as_json=as_json, quiet=False).run(_read_info, jobs=1)


def _read_info(task: Task) -> Record:
    import tacit

    values = dataclasses.asdict(tacit.info(files.read(task.source)))
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}


def _result_line(record: Record) -> str:
    values = dict(record)
    architecture = values.pop("architecture") or "of an unknown architecture"
    if values["model"] is None:
        values["model"] = f"({architecture}, weights not on this machine)"
    return field_lines(values)
