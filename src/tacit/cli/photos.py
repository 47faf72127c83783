"""`tacit encode`, `decode` and `info`: photos to files and back."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from tacit import files
from tacit.batch import Filter, Record
from tacit.cli.group import command
from tacit.cli.options import Box, Number, Size, machine_options, output_options, report_options
from tacit.cli.output import as_bytes, as_fields
from tacit.cli.report import Report
from tacit.errors import InvalidInput, UnknownModel
from tacit.files import STDIO, Task
from tacit.machine import cores

if TYPE_CHECKING:
    from tacit.codec import Codec


@command.command(
    epilog="""\b
Examples:
  tacit encode photo.jpg -c "a red boat on a lake"
  tacit encode photo.jpg --size 60kB           as good as 60 kB allow
  tacit encode photos/ -o small/ -j 2          a folder and all below it
  tacit encode photos/ --captions captions.jsonl --store-caption
  cat photo.png | tacit encode - > photo.tacit
\b
Captions:
  -c, else --captions, else photo.txt beside photo.jpg, else the image's own
  metadata. A map of captions finds a file by its path from the map, else by
  its name, else by its name without suffix. It may be
    .json   {"photo.jpg": "a red boat"}
    .jsonl  {"file": "photo.jpg", "caption": "a red boat"}      one a line
    .csv    file,caption                                        the first line
""",
)
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|- ...", nargs=-1, required=True)
@output_options
@click.option("-q", "--quality", metavar="N", type=Number(0, 100), help="0 (smallest) to 100.  [default: 50]")
@click.option("--size", type=Size(), help="Instead: the best that fits this size, such as 60kB or 48KiB.")
@click.option(
    "--bpp",
    metavar="N",
    type=Number(0, 1000, min_open=True),
    help="Instead: the best that fits this many bits per pixel.",
)
@click.option(
    "--psnr",
    metavar="DB",
    type=Number(0, 1000, min_open=True),
    help="Instead: the smallest that reaches this PSNR, in dB.",
)
@click.option("-c", "--caption", metavar="TEXT", help="What the picture shows; the encoder spends its bits by it.")
@click.option("--captions", metavar="MAP", help="Captions of many files: .json, .jsonl or .csv.")
@click.option("--no-caption", is_flag=True, help="Use no caption, wherever there may be one.")
@click.option("--store-caption", is_flag=True, help="Keep the caption in the file, to be searched and read.")
@click.option("--no-metadata", is_flag=True, help="Leave out the ICC profile, EXIF and XMP, and captions in them.")
@click.option("-m", "--model", metavar="NAME", help="A model's name, or a weights file. See `tacit models`.")
@click.option(
    "--text-encoder",
    metavar="NAME",
    help="Instead of the model's own, such as clip-published:FOLDER for imported weights and CLIP in a folder.",
)
@click.option(
    "--word-weights", is_flag=True, help="Let names and rare nouns of the caption count for more. See `tacit weigh`."
)
@click.option(
    "--steer",
    metavar="N",
    type=Number(0, 100),
    help="Steps of quality between what the caption names and what it does not.  [default: 20]",
)
@machine_options
@report_options
def encode(
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    caption: str | None,
    captions: str | None,
    no_caption: bool,
    store_caption: bool,
    no_metadata: bool,
    model: str | None,
    text_encoder: str | None,
    word_weights: bool,
    steer: float | None,
    jobs: int,
    threads: int | None,
    device: str,
    as_json: bool,
    quiet: bool,
    **target: float | None,
) -> int:
    """Compress images to .tacit files."""
    asked: dict[str, Any] = {name: value for name, value in target.items() if value is not None}
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(f'--{name}' for name in asked)} cannot be asked for together.")
    if no_caption and (caption is not None or captions is not None or store_caption):
        raise click.UsageError("--no-caption goes with no other option about captions.")
    tasks = _plan(inputs, files.IMAGE_SUFFIXES, output, ".tacit", force, as_json)

    from PIL import Image

    from tacit.captions import CaptionMap, find_caption
    from tacit.image import ConversionWarning, load

    try:
        caption_map = None if captions is None else CaptionMap.load(captions)
    except InvalidInput as error:
        raise click.UsageError(f"{error}.") from error
    if caption_map is not None and caption is None and not any(caption_map.find(task.source) for task in tasks):
        click.echo(f"tacit: warning: captions {captions} have none for any of the files", err=True)
    codec = _codec(tasks, model, device, threads, jobs, text_encoder, word_weights, steer)

    def work(task: Task) -> Record:
        piped = task.source == STDIO
        photo = load(files.read(STDIO) if piped else task.source)
        found = None
        if not no_caption:
            path = None if piped else task.source
            found = find_caption(path, photo, caption=caption, caption_map=caption_map, use_metadata=not no_metadata)
        result = codec.encode_result(
            photo, found.text if found else None, **asked, store_caption=store_caption, keep_metadata=not no_metadata
        )
        files.write(task.output, result.data, force=force)
        return {
            "width": result.width,
            "height": result.height,
            "bytes": len(result.data),
            "bpp": result.bpp,
            "quality": result.quality,
            "psnr": result.psnr,
            "caption": found and found.text,
            "caption_from": found and found.origin,
        }

    def line(record: Record) -> str:
        said = [f"{record['width']}x{record['height']}", as_bytes(record["bytes"]), f"{record['bpp']:.3f} bpp"]
        said += [] if record["quality"] is None else [f"quality {record['quality']:.4g}"]
        said += [] if record["psnr"] is None else [f"{record['psnr']:.2f} dB"]
        return ", ".join([*said, f"caption: {record['caption_from'] or 'none'}"])

    # Large photos are ordinary here: Pillow's limit holds, its warning at half of that says nothing new.
    filters: list[Filter] = [("always", ConversionWarning), ("ignore", Image.DecompressionBombWarning)]
    return Report(tasks, line, as_json, quiet).follow(work, jobs, filters)


@command.command(
    epilog="""\b
Examples:
  tacit decode photo.tacit                      writes photo.png
  tacit decode photo.tacit -o photo.jpg
  tacit decode small/ -o photos/ --format webp  a folder and all below it
  tacit decode map.tacit --crop 4000,2500,800,600 -o detail.png
  tacit decode damaged.tacit --salvage          what is left of it
  tacit decode - < photo.tacit > photo.png
""",
)
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|- ...", nargs=-1, required=True)
@output_options
@click.option(
    "--format", metavar="NAME", type=str.lower, help="png, jpeg, webp, avif, tiff, bmp or ppm.  [default: png]"
)
@click.option("--crop", type=Box(), help="Decode this part only, in pixels.")
@click.option("--salvage", is_flag=True, help="Decode what is whole of a damaged file.")
@click.option(
    "-m", "--model", metavar="NAME", help="A weights file, for files that were encoded with weights of your own."
)
@machine_options
@report_options
def decode(
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    format: str | None,
    crop: tuple[int, int, int, int] | None,
    salvage: bool,
    model: str | None,
    jobs: int,
    threads: int | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Restore images from .tacit files."""
    from tacit.image.export import FORMATS, to_bytes

    named = PurePath(output or "").suffix.lower().lstrip(".")
    suffix = format or (named if named in FORMATS else "png")
    tasks = _plan(inputs, files.TACIT_SUFFIXES, output, f".{suffix}", force, as_json)
    if suffix not in FORMATS or (not format and named not in ("", suffix) and tasks[0].output == output):
        raise click.UsageError(f"Images cannot be written as {format or named}; choose from {', '.join(FORMATS)}.")
    codec = _codec(tasks, model, device, threads, jobs)

    def work(task: Task) -> Record:
        data = files.read(task.source)
        image = codec.decode(data, box=crop, salvage=salvage)
        encoded = to_bytes(image, suffix)
        files.write(task.output, encoded, force=force)
        return {
            "width": image.width,
            "height": image.height,
            "mode": image.mode,
            "bytes": len(encoded),
            "caption": image.info.get("caption"),
        }

    def line(record: Record) -> str:
        return f"{record['width']}x{record['height']}, {as_bytes(record['bytes'])}"

    return Report(tasks, line, as_json, quiet).follow(work, jobs, [("always", UserWarning)])


@command.command(
    epilog="""\b
Examples:
  tacit info photo.tacit
  tacit info --json small/ | jq -r 'select(.bpp > 0.5).file'
""",
)
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|- ...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file on standard output.")
def info(inputs: tuple[str, ...], as_json: bool) -> int:
    """Show what .tacit files hold, without decoding them."""
    import tacit

    tasks = files.find(inputs, files.TACIT_SUFFIXES)

    def work(task: Task) -> Record:
        about = dataclasses.asdict(tacit.info(files.read(task.source)))
        return {name: value.hex() if isinstance(value, bytes) else value for name, value in about.items()}

    def line(record: Record) -> str:
        about = dict(record)
        architecture = about.pop("architecture") or "of an unknown architecture"
        if about["model"] is None:
            about["model"] = f"({architecture}, weights not on this machine)"
        return as_fields(about)

    return Report(tasks, line, as_json, quiet=False).follow(work, jobs=1)


def _plan(
    inputs: Sequence[str], suffixes: frozenset[str], output: str | None, output_suffix: str, force: bool, as_json: bool
) -> list[Task]:
    try:
        tasks = files.plan(inputs, suffixes=suffixes, output=output, output_suffix=output_suffix, force=force)
    except InvalidInput as error:
        raise click.UsageError(f"{error}.") from error
    if any(task.output == STDIO for task in tasks):
        if as_json:
            raise click.UsageError("--json and the file itself cannot both go to standard output; name an --output.")
        if sys.stdout is None:
            raise click.UsageError("Standard output is closed: redirect it, or name an --output.")
        if sys.stdout.isatty():
            raise click.UsageError("Standard output is a terminal: redirect it, or name an --output.")
    return tasks


def _codec(
    tasks: Sequence[Task],
    model: str | None,
    device: str,
    threads: int | None,
    jobs: int,
    text_encoder: str | None = None,
    word_weights: bool = False,
    steer: float | None = None,
) -> Codec:
    """The codec that all tasks share; wrong options are wrong usage."""
    from tacit.codec import Codec

    if threads is None and jobs > 1:
        threads = max(1, cores() // jobs)
    given = {"model": model, "text_encoder": text_encoder, "steer": steer, "word_weights": word_weights or None}
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return Codec(**named, device=device, threads=threads)
    except (UnknownModel, InvalidInput) as error:
        raise click.UsageError(str(error)) from error
