"""`tacit bulk`: whole data sets, shard by shard."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from tacit.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, print_message
from tacit.cli.formatting import byte_size, counted, json_line
from tacit.cli.group import command
from tacit.cli.options import (
    caption_use_options,
    captions_option,
    check_caption_options,
    effort_option,
    finder_option,
    keep_options,
    kept_things,
    model_option,
    no_metadata_option,
    quality_option,
    quiet_option,
    text_encoder_option,
)
from tacit.cli.parameters import NumberRange, WorkerRange
from tacit.codec.keep import Keep
from tacit.errors import InvalidInput, UnknownModel
from tacit.machine import cores

if TYPE_CHECKING:
    from tacit.bulk import RunOutcome, RunSummary
    from tacit.bulk.plan import Plan
    from tacit.bulk.source import Source

KINDS = click.Choice(["tar", "folder", "parquet"])
PRINTED_ERRORS = 5
"""How many failed shards are named."""


@command.command(
    short_help="Encode whole data sets, on one machine or a cluster.",
    epilog="""\b
Examples:
  tacit bulk photos/ small/                       a folder, mirrored
  tacit bulk photos/ small/ --to tar              a folder into shards of 1000 images
  tacit bulk "laion/{00000..00999}.tar" s3://bucket/laion -j 8
  tacit bulk table.parquet small/ --image-column picture
  tacit bulk s3://a/shards s3://b/shards --address auto -j 4-64 --gpus-per-worker 0.25
  tacit bulk --decode small/ restored/ --format webp
\b
Run an interrupted command again to go on from there; it also processes what is
new in the source. The folder DEST/_tacit keeps what is done: manifest.jsonl has
counts, bytes and hashes of each shard, and failures.jsonl has the images that
could not be used.
""",
)
@click.argument("source", metavar="SOURCE")
@click.argument("destination", metavar="DEST")
@click.option("--decode", is_flag=True, help="Decode .tacit files to images, instead of encoding images.")
@click.option("--from", "source_kind", type=KINDS, help="How SOURCE is stored.  [default: found out from its files]")
@click.option("--to", "output_kind", type=KINDS, help="How DEST is to be stored.  [default: as SOURCE is]")
@quality_option
@effort_option
@keep_options
@captions_option
@caption_use_options
@no_metadata_option
@click.option(
    "--format",
    metavar="NAME",
    type=str.lower,
    help="With --decode, the format of the images: png, jpeg, webp, avif, tiff, bmp or ppm.  [default: png]",
)
@click.option(
    "--image-column",
    metavar="NAME",
    help="Column of images in Parquet files.  [default: the first of image, jpg and other usual names]",
)
@click.option(
    "--caption-column",
    metavar="NAME",
    help="Column of captions in Parquet files.  [default: the first of caption, text and other usual names]",
)
@click.option(
    "--shard-size",
    metavar="N",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Number of images of a folder that are processed together and become one shard.",
)
@model_option
@text_encoder_option
@finder_option
@click.option(
    "--boxes",
    metavar="FILE|FOLDER|sidecars",
    help="Boxes of what matters in each image, steered to instead of what is found: .json, .jsonl, a folder of YOLO's "
    ".txt files, or sidecars for the .json beside each image. Images without boxes are not steered.",
)
@click.option(
    "-j",
    "--workers",
    type=WorkerRange(),
    help="Number of workers, each with a model, or a range in which it varies.  [default: cores / CPUs of each]",
)
@click.option(
    "--cpus-per-worker",
    metavar="N",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of CPUs, and of threads, of each worker.",
)
@click.option(
    "--gpus-per-worker",
    metavar="N",
    type=NumberRange(0, 64),
    default=0.0,
    show_default=True,
    help="Number of GPUs of each worker; with 0.25, four workers share one GPU.",
)
@click.option(
    "--address", metavar="HOST:PORT|auto", help="Ray cluster to join.  [default: a new one on this machine alone]"
)
@click.option(
    "--max-failures",
    metavar="PERCENT",
    type=NumberRange(0, 100),
    default=5.0,
    show_default=True,
    help="Stop if more than this percentage of the images, or of the shards, cannot be used.",
)
@click.option(
    "--verify", is_flag=True, help="Read every file back, and compare its latents with those that were coded."
)
@click.option("--json", "as_json", is_flag=True, help="Print the statistics as one JSON object on standard output.")
@quiet_option
def bulk(
    source: str,
    destination: str,
    decode: bool,
    source_kind: str | None,
    output_kind: str | None,
    quality: float | None,
    effort: int | None,
    keep_things: tuple[Keep, ...],
    keep_boxes: tuple[Keep, ...],
    best_effort: bool,
    captions: str | None,
    no_caption: bool,
    store_caption: bool,
    no_metadata: bool,
    format: str | None,
    image_column: str | None,
    caption_column: str | None,
    shard_size: int,
    model: str | None,
    text_encoder: str | None,
    finder: str,
    boxes: str | None,
    workers: tuple[int, int] | None,
    cpus_per_worker: int,
    gpus_per_worker: float,
    address: str | None,
    max_failures: float,
    verify: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Encode a data set of images with its captions, shard by shard.

    SOURCE and DEST are folders, tar shards as WebDataset and img2dataset write them, or Parquet files. They are local,
    or behind any URL that fsspec knows. Everything that is not an image is copied unchanged.
    """
    from tacit.bulk import BoxSource, BulkJob, Cluster, Interrupted, RunFailed, StorageKind, run
    from tacit.captions import CaptionMap
    from tacit.codec.options import EncodeOptions
    from tacit.finding.box_map import BoxMap
    from tacit.image.formats import FORMATS

    check_caption_options(no_caption, captions, store_caption)
    kept = kept_things(keep_things, keep_boxes, best_effort)
    if decode and (
        captions or no_caption or store_caption or kept or boxes or quality is not None or effort is not None
    ):
        raise click.UsageError(
            "--decode must not be used together with options about quality, effort, captions or boxes."
        )
    if format is not None and not decode:
        raise click.UsageError("--format must be used together with --decode.")
    if format is not None and format not in FORMATS:
        raise click.UsageError(f"--format must be one of {', '.join(FORMATS)}, got {format}.")
    optional: dict[str, Any] = {"model": model, "format": format}
    try:
        job = BulkJob(
            source=source,
            destination=destination,
            source_kind=None if source_kind is None else StorageKind(source_kind),
            output_kind=None if output_kind is None else StorageKind(output_kind),
            decode=decode,
            options=EncodeOptions(
                quality=quality,
                effort=effort,
                keep=kept,
                best_effort=best_effort,
                store_caption=store_caption,
                keep_metadata=not no_metadata,
            ),
            use_captions=not no_caption,
            text_encoder=text_encoder,
            finder=finder,
            box_source=BoxSource.SIDECARS if boxes == BoxSource.SIDECARS else None,
            image_column=image_column,
            caption_column=caption_column,
            shard_size=shard_size,
            device="cuda" if gpus_per_worker else "cpu",
            threads=cpus_per_worker,
            verify=verify,
            **{name: value for name, value in optional.items() if value is not None},
        )
        pool = workers or (max(1, cores() // cpus_per_worker),) * 2
        cluster = Cluster(address, pool, cpus_per_worker, gpus_per_worker)
        caption_map = None if captions is None else CaptionMap.load(captions)
        box_map = None if boxes is None or boxes == BoxSource.SIDECARS else BoxMap.load(boxes)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error
    progress = _BulkProgress(quiet or as_json)
    status = 0
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # Ray reports lost workers there
            outcome = run(
                job,
                cluster,
                captions=caption_map,
                boxes=box_map,
                max_failures=max_failures / 100,
                on_plan=progress.begin,
                on_progress=progress.update,
            )
    except (RunFailed, Interrupted) as error:
        outcome, status = error.outcome, EXIT_FAILED
        if isinstance(error, Interrupted):
            status = EXIT_INTERRUPTED
            progress.print_problem(
                f"interrupted, {counted(outcome.left, 'shard')} left; run the same command again to go on from there"
            )
        else:
            untouched = outcome.left - len(outcome.errors)
            progress.print_problem(f"stopped, {counted(untouched, 'shard')} left: {error}" if untouched else str(error))
    except (UnknownModel, InvalidInput) as error:
        raise click.UsageError(str(error)) from error
    finally:
        progress.close()
    for name, reason in list(outcome.errors.items())[:PRINTED_ERRORS]:
        progress.print_problem(f"{name}: {reason}")
    if (more := len(outcome.errors) - PRINTED_ERRORS) > 0:
        progress.print_problem(f"{counted(more, 'other shard')} failed, too")
    if as_json:
        click.echo(json_line(outcome.to_json()))
    elif not quiet:
        click.echo(_statistics(outcome, destination))
    return status or (EXIT_FAILED if outcome.errors else 0)


class _BulkProgress:
    """The progress of a bulk run, on standard error.

    Args:
        quiet: Print problems only.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None

    def begin(self, source: Source, plan: Plan) -> None:
        """Print what there is to do."""
        if self._quiet:
            return
        units = len(plan.units)
        size = sum(stat.size for stat in source.files.values())
        files = f"{source.store.url}: {counted(len(source.files), 'file')} ({source.kind}), {byte_size(size)}"
        done = f"{counted(len(plan.done), 'shard')} done already, " if plan.done else ""
        again = f", {plan.redone} of them again" if plan.redone else ""
        click.echo(f"{files}\n{done}{units:,} to do{again}" if units else f"{files}\n{done}nothing to do", err=True)
        if units > 1 and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=units, unit="shard", dynamic_ncols=True, leave=False)

    def update(self, name: str, summary: RunSummary) -> None:
        """Count one more shard, after which the run has come to `summary`."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{summary.images:,} images, {summary.failed:,} failed", refresh=False)
            self._bar.update()

    def print_problem(self, text: str) -> None:
        """Print a line in place of the bar."""
        self.close()
        print_message(text)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _statistics(outcome: RunOutcome, destination: str) -> str:
    """Return the statistics of a run as lines for people."""
    now, total = outcome.now, outcome.all
    lines = []
    if now.shards:
        lines.append(f"this run   {_counts(now)}")
        if outcome.speed is not None:
            pixels = now.pixels / outcome.seconds / 1e6
            lines.append(f"speed      {outcome.speed:.2f} images/s, {pixels:.2f} megapixels/s, {outcome.seconds:.1f} s")
        by_activity = {name: seconds for name, seconds in now.spent.items() if name != "wall"}
        whole = sum(by_activity.values()) or 1.0
        longest_first = sorted(by_activity.items(), key=lambda item: -item[1])
        shares = ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in longest_first)
        lines.append(f"time       {now.spent['wall']:.1f} s of all workers: {shares}")
        lines.append(f"memory     at most {byte_size(now.memory)} in one worker")
        lines += [f"lost       {counted(now.lost, 'worker')}, whose shards were begun again"] if now.lost else []
        lines += [f"warning    {text} ({counted(count, 'time')})" for text, count in now.warnings.items()]
    if total.shards != now.shards:
        lines.append(f"all runs   {_counts(total)}")
    if total.failed:
        failed = f"{counted(total.failed, 'image')} ({total.failure_rate:.2%})"
        lines.append(f"failed     {failed}, see {destination}/_tacit/failures.jsonl")
    return "\n".join(lines)


def _counts(summary: RunSummary) -> str:
    parts = [
        counted(summary.shards, "shard"),
        f"{counted(summary.images, 'image')} ({summary.captions:,} with captions)",
    ]
    if summary.ratio is not None:
        before, after = byte_size(summary.bytes_in), byte_size(summary.bytes_out)
        parts.append(f"{before} -> {after} ({summary.ratio:.2f}:1)")
    parts += [f"{counted(summary.unboxed, 'image')} without boxes"] if summary.unboxed else []
    parts += [f"{byte_size(summary.bytes_rest)} of other data"] if summary.bytes_rest else []
    parts += [f"{counted(summary.others, 'record')} without an image"] if summary.others else []
    parts += [] if summary.psnr is None else [f"PSNR {summary.psnr:.2f} dB ({summary.measured:,} measured)"]
    parts += [f"{summary.verified:,} verified"] if summary.verified else []
    return ", ".join(parts)
