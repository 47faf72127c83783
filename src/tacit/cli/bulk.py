"""`tacit bulk`: whole data sets, shard by shard."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from tacit.cli.group import command
from tacit.cli.options import Number
from tacit.cli.output import EXIT_FAILED, EXIT_INTERRUPTED, as_bytes, as_line
from tacit.errors import InvalidInput, UnknownModel
from tacit.machine import cores

if TYPE_CHECKING:
    from tacit.bulk import RunOutcome, RunSummary
    from tacit.bulk.plan import Plan
    from tacit.bulk.source import Source

KINDS = click.Choice(["tar", "folder", "parquet"])
SHOWN_ERRORS = 5


class Workers(click.ParamType[tuple[int, int]]):
    """N, or LEAST-MOST."""

    name = "n|least-most"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", str(value))
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= low <= high:
            self.fail(f"{value!r} is not a number of workers such as 4, or a range such as 2-16", param, ctx)
        return low, high


@command.command(
    short_help="Compress whole data sets, on one machine or a cluster.",
    epilog="""\b
Examples:
  tacit bulk photos/ small/                       a folder, mirrored
  tacit bulk photos/ small/ --to tar              into shards of 1000 images
  tacit bulk "laion/{00000..00999}.tar" s3://bucket/laion -j 8
  tacit bulk table.parquet small/ --image-column picture
  tacit bulk s3://a/shards s3://b/shards --address auto -j 4-64 --gpus-per-worker 0.25
  tacit bulk --decode small/ restored/ --format webp
\b
The same command goes on where it was interrupted, and does what is new in the
source. What was done is in DEST/_tacit: manifest.jsonl has counts, bytes and
hashes of each shard, failures.jsonl the images that could not be used.
""",
)
@click.argument("source", metavar="SOURCE")
@click.argument("destination", metavar="DEST")
@click.option("--decode", is_flag=True, help="From .tacit files to images of a usual format.")
@click.option("--from", "source_kind", type=KINDS, help="How SOURCE is stored.  [default: by what is there]")
@click.option("--to", "output_kind", type=KINDS, help="How DEST shall be.  [default: as SOURCE is]")
@click.option("-q", "--quality", metavar="N", type=Number(0, 100), help="0 (smallest) to 100.  [default: 50]")
@click.option("--captions", metavar="MAP", help="Captions of images in files: .json, .jsonl or .csv.")
@click.option("--no-caption", is_flag=True, help="Use no caption, wherever there may be one.")
@click.option("--store-caption", is_flag=True, help="Keep the captions in the .tacit files, too.")
@click.option("--no-metadata", is_flag=True, help="Leave out ICC profiles, EXIF and XMP, and captions in them.")
@click.option("--format", metavar="NAME", type=str.lower, help="With --decode: png, jpeg, webp, ...  [default: png]")
@click.option("--image-column", metavar="NAME", help="Of Parquet files.  [default: image, jpg, ...]")
@click.option("--caption-column", metavar="NAME", help="Of Parquet files.  [default: caption, text, ...]")
@click.option(
    "--shard-size",
    metavar="N",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Names of a folder that are done together, and become a shard.",
)
@click.option("-m", "--model", metavar="NAME", help="A model's name, or a weights file. See `tacit models`.")
@click.option("--text-encoder", metavar="NAME", help="Instead of the model's own.")
@click.option(
    "-j",
    "--workers",
    type=Workers(),
    help="Models at work; the pool grows and shrinks in a range.  [default: cores / CPUs of each]",
)
@click.option("--cpus-per-worker", metavar="N", type=click.IntRange(1), default=1, show_default=True, help="Threads.")
@click.option(
    "--gpus-per-worker",
    metavar="N",
    type=Number(0, 64),
    default=0.0,
    show_default=True,
    help="0.25: four workers share a GPU.",
)
@click.option(
    "--address", metavar="HOST:PORT|auto", help="Join this Ray cluster.  [default: one of this machine's own]"
)
@click.option(
    "--max-failures",
    metavar="PERCENT",
    type=Number(0, 100),
    default=5.0,
    show_default=True,
    help="Stop where more of the images, or of the shards, are bad.",
)
@click.option("--verify", is_flag=True, help="Read back what was written, and compare its latents with those coded.")
@click.option("--json", "as_json", is_flag=True, help="The statistics as one JSON object on standard output.")
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
def bulk(
    source: str,
    destination: str,
    quality: float | None,
    captions: str | None,
    no_caption: bool,
    store_caption: bool,
    no_metadata: bool,
    format: str | None,
    model: str | None,
    workers: tuple[int, int] | None,
    cpus_per_worker: int,
    gpus_per_worker: float,
    address: str | None,
    max_failures: float,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Compress a data set, shard by shard, with its captions: folders, WebDataset's tar shards (img2dataset's, too) or
    Parquet, local or behind any URL that fsspec knows. Everything that is no image goes along unchanged.
    """
    from tacit.bulk import BulkJob, Cluster, Interrupted, TooManyFailures, run
    from tacit.captions import CaptionMap
    from tacit.codec.options import EncodeOptions
    from tacit.image.export import FORMATS

    decode = options["decode"]
    if no_caption and (captions is not None or store_caption):
        raise click.UsageError("--no-caption goes with no other option about captions.")
    if decode and (captions or no_caption or store_caption or quality is not None):
        raise click.UsageError("--decode goes with no option about quality or captions.")
    if format is not None and not decode:
        raise click.UsageError("--format goes with --decode only.")
    if format is not None and format not in FORMATS:
        raise click.UsageError(f"Images cannot be written as {format}; choose from {', '.join(FORMATS)}.")
    named: dict[str, Any] = {"model": model, "format": format}
    pool = workers or (max(1, cores() // cpus_per_worker),) * 2
    try:
        job = BulkJob(
            source=source,
            destination=destination,
            options=EncodeOptions(quality=quality, store_caption=store_caption, keep_metadata=not no_metadata),
            use_captions=not no_caption,
            device="cuda" if gpus_per_worker else "cpu",
            threads=cpus_per_worker,
            **{name: value for name, value in named.items() if value is not None},
            **options,
        )
        cluster = Cluster(address, pool, cpus_per_worker, gpus_per_worker)
        caption_map = None if captions is None else CaptionMap.load(captions)
    except InvalidInput as error:
        raise click.UsageError(f"{error}.") from error
    said = _Said(destination, quiet or as_json)
    status = 0
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # where Ray tells of lost workers
            outcome = run(
                job,
                cluster,
                captions=caption_map,
                max_failures=max_failures / 100,
                on_plan=said.plan,
                on_progress=said.progress,
            )
    except (TooManyFailures, Interrupted) as error:
        outcome, status = error.outcome, EXIT_FAILED
        if isinstance(error, Interrupted):
            status = EXIT_INTERRUPTED
            said.problem(f"interrupted, {_some(outcome.left, 'shard')} left; the same command goes on")
        else:
            begun_not = outcome.left - len(outcome.errors)
            said.problem(f"stopped, {_some(begun_not, 'shard')} left: {error}" if begun_not else str(error))
    except (UnknownModel, InvalidInput) as error:
        raise click.UsageError(f"{error}.") from error
    finally:
        said.close()
    for name, reason in list(outcome.errors.items())[:SHOWN_ERRORS]:
        said.problem(f"{name}: {reason}")
    if (more := len(outcome.errors) - SHOWN_ERRORS) > 0:
        said.problem(f"{_some(more, 'other shard')} could not be done either")
    if as_json:
        click.echo(as_line(outcome.to_json()))
    elif not quiet:
        click.echo(_report(outcome, destination))
    return status or (EXIT_FAILED if outcome.errors else 0)


class _Said:
    """What is said on the way, on standard error."""

    def __init__(self, destination: str, quiet: bool) -> None:
        self._destination, self._quiet = destination, quiet
        self._bar: Any = None

    def plan(self, source: Source, plan: Plan) -> None:
        if self._quiet:
            return
        units = len(plan.units)
        size = sum(stat.size for stat in source.files.values())
        there = f"{source.store.url}: {_some(len(source.files), 'file')} ({source.kind}), {as_bytes(size)}"
        done = f"{_some(len(plan.done), 'shard')} done already, " if plan.done else ""
        again = f", {plan.redone} of them again" if plan.redone else ""
        click.echo(f"{there}\n{done}{units:,} to do{again}" if units else f"{there}\n{done}nothing to do", err=True)
        if units > 1 and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=units, unit="shard", dynamic_ncols=True, leave=False)

    def progress(self, name: str, now: RunSummary) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(f"{now.images:,} images, {now.failed:,} failed", refresh=False)
            self._bar.update()

    def problem(self, text: str) -> None:
        self.close()
        click.echo(f"tacit: {text}", err=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _report(outcome: RunOutcome, destination: str) -> str:
    """The statistics, for people."""
    now, total = outcome.now, outcome.all
    lines = []
    if now.shards:
        lines.append(f"this run   {_counts(now)}")
        if outcome.speed is not None:
            pixels = now.pixels / outcome.seconds / 1e6
            lines.append(f"speed      {outcome.speed:.2f} images/s, {pixels:.2f} megapixels/s, {outcome.seconds:.1f} s")
        spent = {name: seconds for name, seconds in now.spent.items() if name != "wall"}
        whole = sum(spent.values()) or 1.0
        shares = ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in sorted(spent.items(), key=_by_size))
        lines.append(f"time       {now.spent['wall']:.1f} s at work: {shares}")
        lines.append(f"memory     {as_bytes(now.memory)} of a worker, at most")
        lines += [f"lost       {_some(now.lost, 'worker')}, whose shards were begun again"] if now.lost else []
        lines += [f"warning    {text} ({_some(count, 'image')})" for text, count in now.warnings.items()]
    if total.shards != now.shards:
        lines.append(f"all runs   {_counts(total)}")
    if total.failed:
        failed = f"{_some(total.failed, 'image')} ({total.failure_rate:.2%})"
        lines.append(f"failed     {failed}, see {destination}/_tacit/failures.jsonl")
    return "\n".join(lines)


def _some(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def _by_size(item: tuple[str, float]) -> float:
    return -item[1]


def _counts(summary: RunSummary) -> str:
    said = [_some(summary.shards, "shard"), f"{_some(summary.images, 'image')} ({summary.captions:,} with captions)"]
    if summary.ratio is not None:
        before, after = as_bytes(summary.bytes_in), as_bytes(summary.bytes_out)
        said.append(f"{before} -> {after} ({summary.ratio:.2f}:1)")
    said += [f"{as_bytes(summary.bytes_rest)} beside them"] if summary.bytes_rest else []
    said += [f"{_some(summary.others, 'other')} without an image"] if summary.others else []
    said += [] if summary.psnr is None else [f"PSNR {summary.psnr:.2f} dB ({summary.measured:,} measured)"]
    said += [f"{summary.verified:,} verified"] if summary.verified else []
    return ", ".join(said)
