"""`tacit thumbnail` and `tacit install-desktop`: `.tacit` files in file managers."""

from __future__ import annotations

import click

from tacit.cli.group import command
from tacit.cli.options import load_ahead

MAX_SIZE = 4096


@command.command(
    short_help="Make a thumbnail of a .tacit file, as file managers ask for it.",
    epilog="""\b
Example:
  tacit thumbnail --size 256 photo.tacit photo.png
""",
)
@click.argument("source", metavar="FILE")
@click.argument("target", metavar="PNG")
@click.option(
    "-s",
    "--size",
    type=click.IntRange(1, MAX_SIZE),
    default=256,
    show_default=True,
    help="The most pixels along a side.",
)
def thumbnail(source: str, target: str, size: int) -> None:
    """Write a thumbnail of the .tacit file FILE to PNG, in sRGB and without metadata; what is there is replaced."""
    load_ahead("reduce", None, source=source)
    from tacit import decode, files
    from tacit.image.export import to_bytes

    image = decode(source, max_side=size)
    files.write(target, to_bytes(image, "png", keep_metadata=False), force=True)


@command.command(
    "install-desktop",
    short_help="Let this user's desktop know .tacit files and show thumbnails of them.",
    epilog="""\b
Examples:
  tacit install-desktop
  tacit install-desktop --remove
""",
)
@click.option("--remove", is_flag=True, help="Remove what was installed.")
def install_desktop(remove: bool) -> None:
    """Install the type image/x-tacit and a thumbnailer for this user, below $XDG_DATA_HOME (~/.local/share)."""
    from tacit import desktop

    for path in desktop.remove() if remove else desktop.install():
        click.echo(f"{path} {'removed' if remove else 'written'}")
