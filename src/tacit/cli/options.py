"""Options that several commands share, with what they mean together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from tacit import files
from tacit.cli.parameters import KeptThing, NumberRange
from tacit.codec.options import DEFAULT_FINDER, DEFAULT_QUALITY, EFFORTS
from tacit.errors import InvalidInput, TacitError, UnknownModel
from tacit.files import STDIO, Task
from tacit.files.atomic import exists_problem
from tacit.machine import cores
from tacit.weights import DEFAULT as DEFAULT_MODEL

if TYPE_CHECKING:
    from tacit.codec import Codec, Keep
    from tacit.codec.model import Work

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def combined(*options: Decorator) -> Decorator:
    """Return one decorator that adds several options to a command, in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        """Add the options to a command."""
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


# -- what is encoded, and how -----------------------------------------------------------------------------------------

quality_option = click.option(
    "-q",
    "--quality",
    metavar="N",
    type=NumberRange(0, 100),
    help=f"Quality of the image, from 0 (smallest file) to 100 (best image).  [default: {DEFAULT_QUALITY:g}]",
)
effort_option = click.option(
    "-e",
    "--effort",
    metavar="N",
    type=click.IntRange(EFFORTS[0], EFFORTS[-1]),
    help="How long to look for a better file of the same image, from 0 to 9: seconds to minutes for an image.  "
    "[default: 0]",
)
model_option = click.option(
    "-m",
    "--model",
    metavar="NAME",
    help=f"Model to encode with: a name that `tacit models` lists, or a weights file.  [default: {DEFAULT_MODEL}]",
)
text_encoder_option = click.option(
    "--text-encoder",
    metavar="NAME",
    help="Text encoder to use instead of the model's own, such as clip-published:FOLDER for imported weights with CLIP "
    "in a folder.",
)
finder_option = click.option(
    "--finder",
    metavar="NAME",
    default=DEFAULT_FINDER,
    show_default=True,
    help="What finds in an image what its caption names, so that it is steered to. See docs/steering.md.",
)
captions_option = click.option(
    "--captions", metavar="MAP", help="File with the captions of many images: .json, .jsonl or .csv."
)
caption_use_options = combined(
    click.option("--no-caption", is_flag=True, help="Encode without captions, even where an image has one."),
    click.option(
        "--store-caption", is_flag=True, help="Store the caption in the .tacit file, where it can be read and searched."
    ),
)
keep_options = combined(
    click.option(
        "--keep",
        "keep_things",
        metavar="WHAT=FIDELITY",
        type=KeptThing(),
        multiple=True,
        help="Keep what a phrase names at a PSNR or SSIMULACRA 2 of at least so much, as in 'the licence plate=36dB' "
        "or 'faces=75ssimulacra2'; the rest takes what is left. Can be repeated.",
    ),
    click.option(
        "--keep-box",
        "keep_boxes",
        metavar="X,Y,W,H=FIDELITY",
        type=KeptThing(boxed=True),
        multiple=True,
        help="Keep a box of the image, in pixels, as in 120,80,64,32=36dB. Can be repeated.",
    ),
    click.option(
        "--best-effort",
        is_flag=True,
        help="Warn where something cannot be found or kept, and come as near as can be, instead of failing.",
    ),
)
no_metadata_option = click.option(
    "--no-metadata",
    is_flag=True,
    help="Leave out the ICC profile (colours become sRGB), EXIF and XMP, and ignore captions in them.",
)


def check_caption_options(no_caption: bool, *others: object) -> None:
    """Check that --no-caption stands alone.

    Args:
        no_caption: Whether --no-caption is given.
        others: The values of the other options about captions; None and False are options that are not given.

    Raises:
        click.UsageError: Another option about captions is given as well.
    """
    if no_caption and any(value is not None and value is not False for value in others):
        raise click.UsageError("--no-caption must not be used together with other options about captions.")


def kept_things(things: Sequence[Keep], boxes: Sequence[Keep], best_effort: bool) -> tuple[Keep, ...]:
    """Return what the options ask an encoding to keep.

    Args:
        things: The values of --keep.
        boxes: The values of --keep-box.
        best_effort: Whether --best-effort is given.

    Raises:
        click.UsageError: --best-effort is given, but nothing is to be kept.
    """
    if best_effort and not (things or boxes):
        raise click.UsageError("--best-effort must be used together with --keep or --keep-box.")
    return (*things, *boxes)


# -- where and how the work is done -----------------------------------------------------------------------------------

output_options = combined(
    click.option(
        "-o",
        "--output",
        metavar="PATH",
        help="File or folder to write to, or - for standard output.  [default: beside each input]",
    ),
    click.option("-f", "--force", is_flag=True, help="Overwrite files that exist."),
)


def plan_outputs(
    inputs: Sequence[str],
    suffixes: frozenset[str],
    output: str | None,
    output_suffix: str,
    *,
    force: bool,
    as_json: bool,
) -> list[Task]:
    """Return the files that the inputs mean, each with its output.

    Args:
        inputs: Files, folders, patterns, or - for standard input.
        suffixes: What is taken from folders.
        output: The value of -o/--output.
        output_suffix: The suffix of outputs that `output` does not name itself.
        force: Whether outputs may exist.
        as_json: Whether JSON goes to standard output.

    Raises:
        click.UsageError: `output` cannot serve all inputs, or standard output cannot take a file.
    """
    try:
        tasks = files.plan(inputs, suffixes=suffixes, output=output, output_suffix=output_suffix, force=force)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error
    if any(task.output == STDIO for task in tasks):
        if as_json:
            raise click.UsageError("Standard output cannot take both --json and the file: name an --output.")
        if sys.stdout is None:
            raise click.UsageError("Standard output is closed: redirect it, or name an --output.")
        if sys.stdout.isatty():
            raise click.UsageError("Standard output is a terminal: redirect it, or name an --output.")
    return tasks


machine_options = combined(
    click.option(
        "-j",
        "--jobs",
        metavar="N",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        help="Number of files to process at a time.",
    ),
    click.option(
        "--threads",
        metavar="N",
        type=click.IntRange(1, 1024),
        help="Number of CPU threads for each file.  [default: cores / jobs]",
    ),
    click.option(
        "--device",
        metavar="NAME",
        default="cpu",
        show_default=True,
        help="Device that the network runs on: cpu, cuda, cuda:1 and so on.",
    ),
)


def load_ahead(
    work: Work,
    model: str | None,
    *,
    device: str = "cpu",
    threads: int | None = None,
    jobs: int = 1,
    source: str = STDIO,
) -> None:
    """Begin to load what work needs, beside the imports that follow; what is wrong is said by those who need it.

    Args:
        work: The work.
        model: The value of --model; None for the default.
        device: The value of --device.
        threads: The value of --threads.
        jobs: The value of --jobs.
        source: The first file to decode, which names its weights.
    """
    from tacit import weights
    from tacit.weights import ahead

    if device != "cpu":
        return
    with suppress(TacitError, OSError):
        path = weights.locate(DEFAULT_MODEL if model is None else model)
        if os.path.isfile(source):  # and no pipe, which is read once
            from tacit import container

            with open(source, "rb") as stream:
                header, _, _ = container.read_header(stream)
            if header.weights_hash != weights.describe(path).decode_hash:
                path = weights.for_file(header.weights_hash, header.model_id).path
        ahead.load_ahead(path, work, _share(threads, jobs))


def _share(threads: int | None, jobs: int) -> int | None:
    """Return the threads for each file, or None for all cores."""
    return max(1, cores() // jobs) if threads is None and jobs > 1 else threads


def load_codec(
    model: str | None,
    *,
    device: str,
    threads: int | None,
    jobs: int,
    text_encoder: str | None = None,
    word_weights: bool = False,
    finder: str = DEFAULT_FINDER,
) -> Codec:
    """Return the codec that all files share.

    Args:
        model: The value of --model; None for the default.
        device: The value of --device.
        threads: The value of --threads; None to share the cores among the jobs.
        jobs: The value of --jobs.
        text_encoder: The value of --text-encoder; None for the model's own.
        word_weights: Whether names and rare nouns in captions count for more.
        finder: The value of --finder.

    Raises:
        click.UsageError: There is no model or finder of this name, or an option cannot be used with it.
    """
    from tacit.codec import Codec

    try:
        return Codec(
            DEFAULT_MODEL if model is None else model,
            device=device,
            threads=_share(threads, jobs),
            text_encoder=text_encoder,
            word_weights=word_weights,
            finder=finder,
        )
    except (UnknownModel, InvalidInput) as error:
        raise click.UsageError(str(error)) from error


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object for each file on standard output."
)
quiet_option = click.option("--quiet", is_flag=True, help="Print only warnings and errors.")


# -- weights files ----------------------------------------------------------------------------------------------------

weights_file_options = combined(
    click.argument("out", required=False),
    click.option("-o", "--output", metavar="OUT", help="Weights file to write; the same as OUT."),
    click.option("-f", "--force", is_flag=True, help="Overwrite OUT if it exists."),
)


def weights_file(out: str | None, output: str | None, force: bool) -> str:
    """Return the weights file that a command writes.

    Args:
        out: The file as it is named after the checkpoint.
        output: The file as it is named by -o/--output.
        force: Whether the file may exist.

    Raises:
        click.UsageError: The file is named twice, or not at all.
        PathError: The file exists, and must not be overwritten.
    """
    if out is not None and output is not None:
        raise click.UsageError("Name OUT only once: after CHECKPOINT, or with -o/--output.")
    path = out or output
    if not path:
        raise click.UsageError("Name the weights file to write: CHECKPOINT OUT, or -o/--output OUT.")
    check_new(path, force)
    return path


def check_new(path: str, force: bool) -> None:
    """Check that an output does not exist, before any work is done for it.

    Raises:
        PathError: It exists, and `force` is not set.
    """
    if not force and (problem := exists_problem(path)):
        raise problem
