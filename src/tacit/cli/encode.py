"""`tacit encode`: images to `.tacit` files."""

from __future__ import annotations

import os

import click

from tacit import files
from tacit.batch import Record, WarningFilter
from tacit.cli.batch_report import BatchReport
from tacit.cli.console import print_message
from tacit.cli.formatting import byte_size
from tacit.cli.group import command
from tacit.cli.options import (
    caption_use_options,
    captions_option,
    check_caption_options,
    effort_option,
    finder_option,
    json_option,
    keep_options,
    kept_things,
    load_ahead,
    load_codec,
    machine_options,
    model_option,
    no_metadata_option,
    output_options,
    plan_outputs,
    quality_option,
    quiet_option,
    text_encoder_option,
)
from tacit.cli.parameters import ByteSize, NumberRange
from tacit.codec.keep import Keep, KeepWarning, described
from tacit.codec.options import DEFAULT_STEER
from tacit.errors import InvalidInput


@command.command(
    short_help="Encode images to .tacit files.",
    epilog="""\b
Examples:
  tacit encode photo.jpg -c "a red boat on a lake"
  tacit encode photo.jpg --size 60kB           the best image in 60 kB
  tacit encode photo.jpg --bpp 0.2 --keep "the licence plate=36dB"
  tacit encode photos/ -o small/ -j 2          a folder and all folders in it
  tacit encode photos/ --captions captions.jsonl --store-caption
  cat photo.png | tacit encode - > photo.tacit
\b
Captions:
  A caption comes from -c, otherwise from --captions, otherwise from photo.txt
  beside photo.jpg, otherwise from the image's own metadata. A file of captions
  names an image by its path from that file, by its name, or by its name without
  suffix. It is one of
    .json   {"photo.jpg": "a red boat"}
    .jsonl  {"file": "photo.jpg", "caption": "a red boat"}      on each line
    .csv    file,caption                                        as first line
""",
)
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|- ...", nargs=-1, required=True)
@output_options
@quality_option
@click.option(
    "--size",
    type=ByteSize(),
    help="Instead of a quality: the best image in a file of at most this size, such as 60kB or 48KiB.",
)
@click.option(
    "--bpp",
    metavar="N",
    type=NumberRange(0, 1000, min_open=True),
    help="Instead of a quality: the best image in a file of at most this many bits per pixel.",
)
@click.option(
    "--psnr",
    metavar="DB",
    type=NumberRange(0, 1000, min_open=True),
    help="Instead of a quality: the smallest file whose image has at least this PSNR, in dB.",
)
@click.option(
    "-c", "--caption", metavar="TEXT", help="Caption of the image; it guides where the encoder spends its bits."
)
@captions_option
@caption_use_options
@no_metadata_option
@model_option
@text_encoder_option
@click.option(
    "--word-weights", is_flag=True, help="Let names and rare nouns in the caption count for more. See `tacit weigh`."
)
@click.option(
    "--steer",
    metavar="N",
    type=NumberRange(0, 100),
    help="Difference of quality between what the caption names and what it does not; 0 moves no bits.  "
    f"[default: {DEFAULT_STEER:g}]",
)
@finder_option
@click.option(
    "--boxes",
    metavar="FILE|FOLDER",
    help="Boxes of what matters in many images, steered to instead of what is found: .json, .jsonl, or a folder of "
    "YOLO's .txt files. See docs/steering.md.",
)
@effort_option
@click.option(
    "--no-progressive",
    is_flag=True,
    help="Store a large image region by region, instead of so that the beginning of the file gives the whole image.",
)
@keep_options
@machine_options
@json_option
@quiet_option
def encode(
    inputs: tuple[str, ...],
    output: str | None,
    force: bool,
    quality: float | None,
    size: int | None,
    bpp: float | None,
    psnr: float | None,
    caption: str | None,
    captions: str | None,
    no_caption: bool,
    store_caption: bool,
    no_metadata: bool,
    model: str | None,
    text_encoder: str | None,
    word_weights: bool,
    steer: float | None,
    finder: str,
    boxes: str | None,
    effort: int | None,
    no_progressive: bool,
    keep_things: tuple[Keep, ...],
    keep_boxes: tuple[Keep, ...],
    best_effort: bool,
    jobs: int,
    threads: int | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Encode images to .tacit files, guided by their captions."""
    from tacit.codec import EncodeOptions

    check_caption_options(no_caption, caption, captions, store_caption)
    try:
        options = EncodeOptions(
            quality=quality,
            size=size,
            bpp=bpp,
            psnr=psnr,
            steer=steer,
            effort=effort,
            progressive=not no_progressive,
            keep=kept_things(keep_things, keep_boxes, best_effort),
            best_effort=best_effort,
            store_caption=store_caption,
            keep_metadata=not no_metadata,
        )
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error
    suffixes = files.IMAGE_SUFFIXES
    if not all(one == files.STDIO or os.path.isfile(one) for one in inputs):  # else all of Pillow's plugins are loaded
        from tacit.image import readable_suffixes

        suffixes = readable_suffixes()
    tasks = plan_outputs(inputs, suffixes, output, ".tacit", force=force, as_json=as_json)
    load_ahead("encode", model, device=device, threads=threads, jobs=jobs)

    from PIL import Image

    from tacit.captions import CaptionMap
    from tacit.conversion import FileEncoder
    from tacit.image import ConversionWarning

    try:
        caption_map = None if captions is None else CaptionMap.load(captions)
        box_map = None
        if boxes is not None:
            from tacit.finding.box_map import BoxMap

            box_map = BoxMap.load(boxes)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error
    if caption_map is not None and caption is None and not any(caption_map.find(task.source) for task in tasks):
        print_message(f"warning: {captions} has a caption for none of the files")
    if box_map is not None and all(box_map.boxes.find(task.source) is None for task in tasks):
        print_message(f"warning: {boxes} has boxes for none of the files")
    report = BatchReport(tasks, _result_line, as_json=as_json, quiet=quiet, slow=bool(effort))
    encoder = FileEncoder(
        codec=load_codec(
            model,
            device=device,
            threads=threads,
            jobs=jobs,
            text_encoder=text_encoder,
            word_weights=word_weights,
            finder=finder,
        ),
        options=options,
        caption=caption,
        caption_map=caption_map,
        box_map=box_map,
        use_captions=not no_caption,
        force=force,
        progress=report.advance if effort else None,
    )
    # Large images are ordinary here: Pillow's limit holds, and its warning at half of that limit says nothing new.
    filters: list[WarningFilter] = [
        ("always", ConversionWarning),
        ("always", KeepWarning),
        ("ignore", Image.DecompressionBombWarning),
    ]
    return report.run(encoder, jobs, filters)


def _result_line(record: Record) -> str:
    parts = [f"{record['width']}x{record['height']}", byte_size(record["bytes"]), f"{record['bpp']:.3f} bpp"]
    if record["quality"] is not None:
        parts.append(f"quality {record['quality']:.4g}")
    if record["psnr"] is not None:
        parts.append(f"{record['psnr']:.2f} dB")
    parts.append(f"caption: {record['caption_from'] or 'none'}")
    for name, label in (("found", "found"), ("missed", "not found")):
        if record.get(name):
            unsure = record.get("unsure", ())
            parts.append(f"{label}: {'; '.join(one + ' (unsure)' * (one in unsure) for one in record[name])}")
    if record.get("hint"):
        parts[-1] += f" ({record['hint']})"
    kept = [described(one) for one in record.get("kept", ())]
    if kept:
        kept[-1] += f", which costs {byte_size(record['kept_bytes'])} more"
    return "\n  ".join([", ".join(parts), *kept])
