"""`tacit find`: where an image shows what a caption names."""

from __future__ import annotations

import io
from pathlib import Path

import click

from tacit import files
from tacit.cli.console import printed_warnings
from tacit.cli.formatting import json_line
from tacit.cli.group import command
from tacit.cli.options import check_new, finder_option
from tacit.errors import UnknownModel


@command.command(
    short_help="Show where an image has what a caption names.",
    epilog="""\b
Examples:
  tacit find photo.jpg "the red boat"
  tacit find photo.jpg "a red boat on a lake and two dogs" -o map.png
""",
)
@click.argument("image", metavar="IMAGE")
@click.argument("caption", metavar="CAPTION")
@click.option(
    "-o", "--output", metavar="PATH", help="Map to write: the image, dark where nothing named is (.png, ...)."
)
@finder_option
@click.option("-f", "--force", is_flag=True, help="Overwrite PATH if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def find(image: str, caption: str, output: str | None, finder: str, force: bool, as_json: bool) -> None:
    """Find what CAPTION names in IMAGE: print what was found and by which cues, and what was not.

    What is not found would change nothing in an encoding.
    """
    from PIL import Image

    kind = None
    if output is not None:
        kind = Image.registered_extensions().get(Path(output).suffix.lower())
        if kind is None or kind not in Image.SAVE:
            raise click.UsageError(
                f"The suffix of --output must be that of an image format, such as .png, got {output}"
            )
        check_new(output, force)
    from tacit.finding import draw
    from tacit.finding import find as find_in
    from tacit.image.reading import load

    with printed_warnings():
        raster = load(image)
    try:
        found = find_in(raster, caption, finder)
    except UnknownModel as error:
        raise click.UsageError(str(error)) from error
    if output is not None:
        stream = io.BytesIO()
        Image.fromarray(draw(raster.pixels, found.map)).save(stream, kind)
        files.write(output, stream.getvalue(), force=force)
    if as_json:
        things = [
            {"phrase": thing.phrase, "cues": thing.cues, "sure": thing.sure and thing.map is not None}
            for thing in found.things
        ]
        values = {"caption": caption, "found": found.found, "missed": found.missed, "hint": found.hint}
        click.echo(json_line({**values, "things": things}))
        return
    width = max((len(thing.phrase) for thing in found.things), default=0)
    for thing in found.things:
        seen = ", ".join(thing.cues) + ("" if thing.sure else " (unsure)")
        click.echo(f"{thing.phrase:<{width}}  {seen if thing.cues else 'not found'}")
    if not found.things:
        click.echo("the caption names nothing")
    if found.hint:
        click.echo(found.hint)
