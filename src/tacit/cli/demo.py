"""`tacit demo`: sample photographs through the codec."""

from __future__ import annotations

import click

from tacit.cli.group import command


@command.command(short_help="Compress sample photographs and make a page of it.")
@click.option("-o", "--output", metavar="FOLDER", default="demo", show_default=True, help="Where the page goes.")
def demo(output: str) -> None:
    """Compress sample photographs and make a page of pictures and figures beside JPEG, WebP and AVIF."""
    from tacit.demo.page import make_page

    make_page(output)
