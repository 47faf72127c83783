"""Write the manual pages of the command line into `man/`, from the commands' help.

    python scripts/man.py

There is one page for `tacit` and one for each command: `man tacit`, `man tacit-encode`. The wheel has them under
`share/man/man1`. A test checks that they are current; `make man` runs this.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import tacit
from tacit import cli

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "man"


def main() -> int:
    """Write all pages, and remove those of commands that are gone."""
    made = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.1"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
    return 0


def pages() -> dict[str, str]:
    """Return all pages by the names of their files."""
    top = click.Context(cli.command, info_name="tacit", color=False, **cli.command.context_settings)
    made = {"tacit.1": _page("tacit", cli.command, top)}
    for name in cli.command.list_commands(top):
        command = cli.command.get_command(top, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=top, color=False)
        made[f"tacit-{name}.1"] = _page(f"tacit-{name}", command, context)
    return made


def _page(name: str, command: click.Command, context: click.Context) -> str:
    summary = command.get_short_help_str(200).rstrip(".")
    usage = context.command_path + " " + " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH {_text(name.upper())} 1 "" "tacit {tacit.__version__}" "Commands of tacit"',
        ".SH NAME",
        rf"{_text(name)} \- {_text(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
        rf".B {_text(usage)}",
        ".SH DESCRIPTION",
        *_paragraphs(command.help or ""),
        ".SH OPTIONS",
    ]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            lines += [".TP", rf"\fB{_text(record[0])}\fR", _line(record[1])]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            assert found is not None
            lines += [".TP", rf"\fB{name}\-{_text(sub)}\fR(1)", _line(found.get_short_help_str(200))]
    if command.epilog:
        lines += [".SH EXAMPLES", *_paragraphs(command.epilog.replace("Examples:\n", ""))]
    lines += [".SH SEE ALSO", r"\fBtacit\fR(1), and the documents that come with the source"]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    r"""Yield a text of click as roff: a paragraph that begins with \\b keeps its lines."""
    for paragraph in re.split(r"\n[ \t]*\n|(?=\x08)", text):
        if paragraph.startswith("\x08"):
            yield from (".PP", ".nf", *(_line(line) for line in paragraph[1:].strip("\n").splitlines()), ".fi")
        elif paragraph.strip():
            yield from (".PP", _line(" ".join(paragraph.split())))


def _line(text: str) -> str:
    """Return one line of text, which must not look like a request."""
    safe = _text(text)
    return rf"\&{safe}" if safe.startswith((".", "'")) else safe


def _text(text: str) -> str:
    return text.replace("\\", r"\e").replace("-", r"\-")


if __name__ == "__main__":
    sys.exit(main())
