"""`tacit map`: a drawing of where the bits of an image's file go."""

from __future__ import annotations

import io
from pathlib import Path

import click

from tacit import files
from tacit.cli.console import printed_warnings
from tacit.cli.group import command
from tacit.cli.options import check_new, model_option, quality_option


@command.command(
    "map",
    short_help="Draw where the bits of an image's file go.",
    epilog="""\b
Examples:
  tacit map photo.jpg -o map.png
  tacit map photo.jpg -c "the red boat" -q 30 -o map.png
""",
)
@click.argument("image", metavar="IMAGE")
@click.option(
    "-c", "--caption", metavar="TEXT", help="Caption; the drawing shows the bits also with it, and what it changes."
)
@quality_option
@click.option(
    "-o", "--output", metavar="PATH", required=True, help="Drawing to write: .png, .jpg, .webp or another image format."
)
@model_option
@click.option("-f", "--force", is_flag=True, help="Overwrite the drawing if it exists.")
def bit_map(
    image: str, caption: str | None, quality: float | None, output: str, model: str | None, force: bool
) -> None:
    """Draw where the bits of IMAGE's file go, in bits per pixel.

    With a caption, the drawing shows the bits without it and with it, and the difference.
    """
    from PIL import Image

    from tacit.codec import Codec
    from tacit.study.bit_allocation import bit_allocation, draw
    from tacit.weights import DEFAULT

    kind = Image.registered_extensions().get(Path(output).suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise click.UsageError(f"The suffix of --output must be that of an image format, such as .png, got {output}")
    check_new(output, force)
    with printed_warnings():
        drawing = draw(bit_allocation(Codec(model or DEFAULT), image, caption, quality))
    stream = io.BytesIO()
    drawing.save(stream, kind)
    files.write(output, stream.getvalue(), force=force)
    click.echo(output)
