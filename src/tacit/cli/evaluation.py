"""`tacit eval`: measure codecs on images."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tacit.cli.group import command
from tacit.cli.output import EXIT_FAILED
from tacit.errors import InvalidInput, UnknownModel


@command.command(
    "eval",
    short_help="Measure codecs on images, and report.",
    epilog="""\b
Examples:
  tacit eval photos/ -o results --codecs tacit-s,jpeg,webp --metrics psnr,ssimulacra2
  tacit eval kodak:kodak/ coco:coco/ -o results --codecs tacit-s,tacit-s+captions,avif
  tacit eval photos/ -o results --codecs my.safetensors,bpg --codec-file codecs.toml
  tacit eval --compare old/results.json new/results.json
\b
Sets:
  a folder, an image, a .jsonl of {"file": ..., "caption": ...}, or kodak:PATH,
  clic:PATH, coco:PATH; without a path, the folder of that name in $TACIT_DATA.
\b
Codecs:
  jpeg, webp, avif, jp2, jxl; a model's name, a weights file, or a folder of
  weights of fixed rate, with +captions (each image's) or +swapped (another's)
  behind it; and those of --codec-file. One whose library is missing is skipped.
\b
What is done is kept in FOLDER: the same command goes on where it was interrupted.
""",
)
@click.argument("datasets", metavar="DATASET ...", nargs=-1)
@click.option("-o", "--output", "--out", metavar="FOLDER", help="Where results, files and the report go.")
@click.option(
    "--codecs", metavar="NAME,...", default="tacit-s,jpeg,webp,avif", show_default=True, help="What is measured."
)
@click.option("--metrics", metavar="NAME,...", default="psnr,ms-ssim,ssimulacra2", show_default=True, help="By what.")
@click.option(
    "--quality", "qualities", metavar="CODEC=N,...", multiple=True, help="Qualities of a codec.  [default: its own]"
)
@click.option("--points", metavar="N", type=click.IntRange(1), help="At most so many of each codec's own qualities.")
@click.option("--codec-file", metavar="TOML", help="Further codecs: programs by their commands.")
@click.option("--captions", metavar="MAP", help="Captions: .json, .jsonl or .csv.  [default: the set's own]")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="The first so many images of each set.")
@click.option("--anchor", metavar="CODEC", help="What others are compared with.  [default: the first codec]")
@click.option(
    "--crops", metavar="N", type=click.IntRange(0), default=3, show_default=True, help="Images shown at equal bytes."
)
@click.option("--log", is_flag=True, help="Plots over the logarithm of the rate.")
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(1, 256), help="Processes.  [default: cores and memory]")
@click.option("--device", metavar="NAME", default="cpu", show_default=True, help="Where models run.")
@click.option("--precision", metavar="NAME", default="auto", show_default=True, help="Of models: fp32, bf16 or auto.")
@click.option("--fresh", is_flag=True, help="Measure again what FOLDER has already.")
@click.option("--compare", metavar="OLD.json NEW.json", nargs=2, help="Instead: what changed, and whether it is noise.")
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
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
    """Measure codecs on images: real files, rates, metrics, times; with a report."""
    if compare is not None:
        from tacit.evaluation.compare import compare_files

        click.echo(compare_files(*compare))
        return 0
    if not datasets or output is None:
        raise click.UsageError("Name a DATASET and a folder for the results (-o/--output).")

    from tacit.evaluation.evaluate import EvalOptions
    from tacit.evaluation.evaluate import evaluate as run_evaluation

    with running(output, quiet) as progress:
        found = run_evaluation(
            EvalOptions(
                datasets,
                _names(codecs),
                _names(metrics),
                Path(output),
                qualities=_merged(map(_qualities, qualities)),
                commands=codec_file,
                command=click.get_current_context().obj,
                **options,
            ),
            progress,
        )
    failed = len(found.measured.failures)
    if not quiet or failed:
        click.echo(
            f"tacit: {len(found.measured.rows)} files measured{f', {failed} failed' if failed else ''}", err=True
        )
    if not quiet:
        click.echo(Path(output, "report.html"))
    return EXIT_FAILED if failed else 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _merged(given: Iterable[tuple[str, list[float | str]]]) -> dict[str, list[float | str]]:
    """An option that is given again adds to what it said before."""
    found: dict[str, list[float | str]] = {}
    for codec, values in given:
        found.setdefault(codec, []).extend(values)
    return found


def _qualities(text: str) -> tuple[str, list[float | str]]:
    """CODEC=N,..."""
    codec, _, values = text.rpartition("=")
    if not codec or not _names(values):
        raise click.UsageError(f"--quality {text!r}: expected CODEC=N,...")
    found: list[float | str] = []
    for value in _names(values):
        try:
            found.append(float(value))
        except ValueError:
            found.append(value)
    return codec, found


@contextmanager
def running(output: str, quiet: bool) -> Iterator[Progress]:
    """The progress of a run that keeps in the folder `output` what is done, and what is said where it ends early."""
    progress = Progress(quiet)
    try:
        yield progress
    except (UnknownModel, InvalidInput) as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        progress.say(f"what is done is kept in {output}, and the same command goes on from there")
        raise
    finally:
        progress.close()


class Progress:
    """An evaluation's progress, on standard error: a bar where that is a terminal, else a line now and then."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None

    def begin(self, total: int, known: int) -> None:
        """So many files in all, of which so many are known already."""
        self.close()  # of the run before
        if not self._quiet:
            from tqdm import tqdm

            interval = 0.1 if sys.stderr.isatty() else 30
            self._bar = tqdm(total=total, initial=known, unit="file", mininterval=interval, dynamic_ncols=True)

    def done(self, text: str) -> None:
        """One more file; `text` says which."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()

    def say(self, text: str) -> None:
        """A line, beside the bar."""
        text = f"tacit: {text}".encode("utf-8", "backslashreplace").decode()
        if self._bar is None:
            click.echo(text, err=True)
        else:
            with self._bar.external_write_mode(file=sys.stderr):
                click.echo(text, err=True)

    def close(self) -> None:
        """The bar goes."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
