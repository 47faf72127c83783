"""The command that all others belong to."""

from __future__ import annotations

import click


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  tacit encode photo.jpg                         writes photo.tacit
  tacit decode photo.tacit -o photo.png          and back
  tacit encode holiday/ -o small/ -q 40 -j 2     a folder, mirrored
  tacit info small/*.tacit
""",
)
@click.version_option(package_name="tacit", prog_name="tacit", message="%(prog)s %(version)s")
def command() -> None:
    """Compress photographs into small .tacit files, guided by their captions.

    Exit status: 0 all good, 1 something failed, 2 wrong usage, 130 interrupted.
    """
