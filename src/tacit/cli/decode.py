"""`tacit decode`: `.tacit` files to images."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from tacit import files
from tacit.batch import Record
from tacit.cli.batch_report import BatchReport
from tacit.cli.formatting import byte_size
from tacit.cli.group import command
from tacit.cli.options import (
    json_option,
    load_ahead,
    load_codec,
    machine_options,
    output_options,
    plan_outputs,
    quiet_option,
)
from tacit.cli.parameters import CropBox, Share

if TYPE_CHECKING:
    from tacit.codec.model import Work


@command.command(
    short_help="Decode .tacit files to images.",
    epilog="""\b
Examples:
  tacit decode photo.tacit                      writes photo.png
  tacit decode photo.tacit -o photo.jpg
  tacit decode small/ -o photos/ --format webp  a folder and all folders in it
  tacit decode map.tacit --crop 4000,2500,800,600 -o detail.png
  tacit decode photos/ -o small/ --max-side 512
  tacit decode damaged.tacit --salvage          what is intact of it
  tacit decode photo.tacit --preview 25%        what a quarter of the file gives
  tacit decode - < photo.tacit > photo.png
""",
)
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|- ...", nargs=-1, required=True)
@output_options
@click.option(
    "--format",
    metavar="NAME",
    type=str.lower,
    help="Format of the images: png, jpeg, webp, avif, tiff, bmp or ppm.  [default: by the suffix of --output, else "
    "png]",
)
@click.option("--crop", type=CropBox(), help="Decode only this part of the image, in pixels.")
@click.option(
    "--max-side",
    metavar="PIXELS",
    type=click.IntRange(min=1),
    help="Shrink larger images to this many pixels along the longer side; that is much faster from half the size on.",
)
@click.option(
    "--salvage", is_flag=True, help="Decode the intact parts of a damaged file; the others are filled with grey."
)
@click.option(
    "--preview",
    metavar="SHARE",
    type=Share(),
    help="Decode only this much of each file, such as 25%: the whole image, coarser. The end of a file may be missing.",
)
@click.option(
    "--no-metadata", is_flag=True, help="Leave out the ICC profile (colours become sRGB), EXIF, XMP and the caption."
)
@click.option(
    "-m", "--model", metavar="NAME", help="Weights file to decode with, if the files were made with your own."
)
@machine_options
@json_option
@quiet_option
def decode(
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    format: str | None,
    crop: tuple[int, int, int, int] | None,
    max_side: int | None,
    salvage: bool,
    preview: float | None,
    no_metadata: bool,
    model: str | None,
    jobs: int,
    threads: int | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Decode .tacit files to images."""
    from tacit.image.formats import FORMATS

    output_format = PurePath(output or "").suffix.lower().lstrip(".")
    suffix = format or (output_format if output_format in FORMATS else "png")
    tasks = plan_outputs(inputs, files.TACIT_SUFFIXES, output, f".{suffix}", force=force, as_json=as_json)
    if suffix not in FORMATS or (not format and output_format not in ("", suffix) and tasks[0].output == output):
        raise click.UsageError(f"The format must be one of {', '.join(FORMATS)}, got {format or output_format}.")
    named = output_format in FORMATS and tasks[0].output == output
    if format and named and FORMATS[format][0] != FORMATS[output_format][0]:
        raise click.UsageError(f"The suffix of --output must be that of --format {format}, got {output}.")
    work: Work = "decode" if max_side is None else "reduce"
    load_ahead(work, model, device=device, threads=threads, jobs=jobs, source=tasks[0].source)
    from tacit.conversion import FileDecoder

    decoder = FileDecoder(
        codec=load_codec(model, device=device, threads=threads, jobs=jobs),
        format=suffix,
        box=crop,
        max_side=max_side,
        salvage=salvage,
        preview=preview,
        keep_metadata=not no_metadata,
        force=force,
    )
    report = BatchReport(tasks, _result_line, as_json=as_json, quiet=quiet)
    return report.run(decoder, jobs, [("always", UserWarning)])


def _result_line(record: Record) -> str:
    return f"{record['width']}x{record['height']}, {byte_size(record['bytes'])}"
