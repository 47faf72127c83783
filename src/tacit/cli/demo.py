"""`tacit demo`: sample images through the codec."""

from __future__ import annotations

import click

from tacit.cli.group import command


@command.command(
    short_help="Compress sample images, and make a page that compares codecs on them.",
    epilog="""\b
Example:
  tacit demo -o demo                            then open demo/index.html
""",
)
@click.option("-o", "--output", metavar="FOLDER", default="demo", show_default=True, help="Folder for the page.")
def demo(output: str) -> None:
    """Compress sample images, and make a page that compares tacit with JPEG, WebP and AVIF at equal sizes."""
    from tacit.demo.page import make_page

    make_page(output)
