"""The group of all commands: `tacit` itself."""

from __future__ import annotations

import click


@click.group(
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
