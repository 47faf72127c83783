"""`tacit eval`: measure codecs on images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from tacit.cli.console import EXIT_FAILED, print_message
from tacit.cli.formatting import counted
from tacit.cli.group import command
from tacit.cli.options import quiet_option
from tacit.cli.progress import resumable_progress


@command.command(
    "eval",
    short_help="Measure codecs on images, and write a report.",
    epilog="""\b
Examples:
  tacit eval photos/ -o results --codecs tacit-s,jpeg,webp --metrics psnr,ssimulacra2
  tacit eval kodak:kodak/ coco:coco/ -o results --codecs tacit-s,tacit-s+captions,avif
  tacit eval photos/ -o results --codecs my.safetensors,bpg --codec-file codecs.toml
  tacit eval --compare old/results.json new/results.json
\b
Data sets:
  DATASET is a folder, an image, a .jsonl file with {"file": ..., "caption": ...}
  on each line, or one of kodak:PATH, clic:PATH, div2k:PATH and coco:PATH. Without
  a path, the names are those of folders in $TACIT_DATA.
\b
Codecs:
  jpeg, webp, avif, jp2, jxl and so on (a wrong name lists them all); a model's
  name, a weights file, or a folder of weights of fixed rate; and the codecs of
  --codec-file. A model may be followed by +captions, so that it gets each
  image's caption, or by +swapped, so that it gets another image's. A codec
  whose library is missing is left out.
\b
FOLDER keeps what is done: run an interrupted command again to go on from there.
""",
)
@click.argument("datasets", metavar="DATASET ...", nargs=-1)
@click.option("-o", "--output", "--out", metavar="FOLDER", help="Folder for the results, the files and the report.")
@click.option(
    "--codecs", metavar="NAME,...", default="tacit-s,jpeg,webp,avif", show_default=True, help="Codecs to measure."
)
@click.option(
    "--metrics", metavar="NAME,...", default="psnr,ms-ssim,ssimulacra2", show_default=True, help="Metrics to compute."
)
@click.option(
    "--quality",
    "qualities",
    metavar="CODEC=N,...",
    multiple=True,
    help="Qualities of one codec; may be given several times.  [default: the codec's own]",
)
@click.option(
    "--points", metavar="N", type=click.IntRange(1), help="Use at most N of each codec's own qualities, evenly spread."
)
@click.option("--codec-file", metavar="TOML", help="File that describes further codecs by the commands they run.")
@click.option(
    "--captions",
    metavar="MAP",
    help="File with the captions of many images: .json, .jsonl or .csv.  [default: the data set's own]",
)
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Use only the first N images of each data set.")
@click.option(
    "--anchor",
    metavar="CODEC",
    help="Codec or published curve that the others are compared with.  [default: the first codec]",
)
@click.option(
    "--crops",
    metavar="N",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Number of images that the report shows at equal bytes.",
)
@click.option("--log", is_flag=True, help="Plot over the logarithm of the rate.")
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 256),
    help="Number of processes.  [default: as many as cores and memory allow]",
)
@click.option(
    "--device", metavar="NAME", default="cpu", show_default=True, help="Device that models run on: cpu, cuda and so on."
)
@click.option(
    "--precision",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="Precision of models: fp32, bf16, or auto (bf16 where the processor has it).",
)
@click.option("--fresh", is_flag=True, help="Measure everything again, also what FOLDER has already.")
@click.option(
    "--compare",
    metavar="OLD.json NEW.json",
    nargs=2,
    help="Instead of measuring: show what changed between two results, and whether it is more than noise.",
)
@quiet_option
def evaluate(
    datasets: tuple[str, ...],
    output: str | None,
    codecs: str,
    metrics: str,
    qualities: tuple[str, ...],
    codec_file: str | None,
    compare: tuple[str, str] | None,
    quiet: bool,
    **options: Any,
) -> int:
    """Measure codecs on images: encode and decode real files, and report rates, metrics and times."""
    if compare is not None:
        from tacit.evaluation.comparison_report import compare_files

        click.echo(compare_files(*compare))
        return 0
    if not datasets or output is None:
        raise click.UsageError("Name a DATASET and a folder for the results (-o/--output).")

    from tacit.evaluation.evaluation import EvalOptions
    from tacit.evaluation.evaluation import evaluate as run_evaluation

    with resumable_progress(output, quiet) as progress:
        results = run_evaluation(
            EvalOptions(
                datasets=datasets,
                codecs=_names(codecs),
                metrics=_names(metrics),
                out=Path(output),
                qualities=_merged(map(_codec_qualities, qualities)),
                codec_file=codec_file,
                command=click.get_current_context().obj,
                **options,
            ),
            progress,
        )
    failed = len(results.measurements.failures)
    if not quiet or failed:
        failures = f", {failed} failed" if failed else ""
        print_message(f"{counted(len(results.measurements.rows), 'file')} measured{failures}")
    if not quiet:
        click.echo(Path(output, "report.html"))
    return EXIT_FAILED if failed else 0


def _names(text: str) -> list[str]:
    """Return the names in a text that has commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _merged(values: Iterable[tuple[str, list[float | str]]]) -> dict[str, list[float | str]]:
    """Return all qualities by codec; an option that is repeated adds to its earlier values."""
    merged: dict[str, list[float | str]] = {}
    for codec, qualities in values:
        merged.setdefault(codec, []).extend(qualities)
    return merged


def _codec_qualities(text: str) -> tuple[str, list[float | str]]:
    """Parse CODEC=N,... into a codec's name and its qualities."""
    codec, _, values = text.rpartition("=")
    if not codec or not _names(values):
        raise click.UsageError(f"--quality must be CODEC=N,..., got {text!r}")
    qualities: list[float | str] = []
    for value in _names(values):
        try:
            qualities.append(float(value))
        except ValueError:
            qualities.append(value)
    return codec, qualities
