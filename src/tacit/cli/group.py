"""The group of all commands: `tacit` itself."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

import click

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "encode": "encode",
        "decode": "decode",
        "info": "info",
        "caption": "caption",
        "weigh": "words",
        "word-table": "words",
        "models": "models",
        "import-taco": "models",
        "eval": "evaluate",
        "train": "training",
        "fine-tune": "training",
        "export": "training",
        "demo": "demo",
        "serve": "serve",
        "export-web": "export_web",
        "thumbnail": "desktop",
        "install-desktop": "desktop",
        "bulk": "bulk",
        "study": "study",
        "map": "bit_allocation",
        "find": "find",
    }
)
"""The module of each command, in the order in which the reference (docs/cli.md) has them."""


class Commands(click.Group):
    """The commands, each of which is imported when it is asked for: one must not wait for the others' options."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names by the alphabet."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of this name."""
        # For a name that is none, click says which of all of them are like it.
        for module in [COMMANDS[cmd_name]] if cmd_name in COMMANDS else COMMANDS.values():
            importlib.import_module(f"tacit.cli.{module}")
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  tacit encode photo.jpg                         encode to photo.tacit
  tacit decode photo.tacit -o photo.png          decode again
  tacit encode holiday/ -o small/ -q 40 -j 2     encode a folder and all folders in it
  tacit info small/*.tacit                       show what the files hold
""",
)
@click.version_option(package_name="tacit", prog_name="tacit", message="%(prog)s %(version)s")
def command() -> None:
    """Compress images into small .tacit files, guided by their captions.

    The exit status is 0 if everything succeeded, 1 if something failed, 2 for wrong usage, and 130 after Ctrl-C.
    """
