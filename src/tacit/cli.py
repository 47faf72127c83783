"""The command line: it parses, calls the library, and says what came of it.

Nothing heavy is imported here: `tacit --help` and `tacit info` must not wait for torch. Each command imports what it
needs when it runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import math
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TextIO

import click

from tacit import files
from tacit.batch import Filter, Outcome, Record, Summary, run
from tacit.errors import CaptionerUnusable, InvalidInput, MissingExtra, PathError, TacitError, UnknownModel
from tacit.files import STDIO, Task

if TYPE_CHECKING:
    from tacit.codec import Codec

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 all good, 1 something failed, 2 usage, 130 interrupted."""
    status = 0
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not _from_stdout(error):
            raise
        if status == 0 and not isinstance(error, BrokenPipeError):  # else it has been said
            _debug(error)
            click.echo(f"tacit: {_stdout_lost(error)}", err=True)
        _give_up(sys.stdout)
        return status or EXIT_FAILED
    return status


def _run(arguments: Sequence[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # obj: the command as it was given, for results that say how they were made
        status = command.main(given, prog_name="tacit", standalone_mode=False, obj=shlex.join(["tacit", *given]))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("tacit: interrupted", err=True)
        return EXIT_INTERRUPTED
    except SystemExit:  # click's way out where the reader of our output has left (`tacit --help | head -1`)
        return EXIT_FAILED
    except TacitError as error:
        _debug(error)
        click.echo(f"tacit: {error}", err=True)
        return EXIT_FAILED
    return int(status or 0)


def _from_stdout(error: OSError) -> bool:
    """Whether the error comes from standard output."""
    try:
        sys.stdout.flush()  # what could not be written is still there
    except OSError:
        return True
    # `python -u` keeps nothing that could be tried again; an error about a file has its name.
    return error.filename is None and bool(getattr(sys.stdout, "write_through", False))


def _stdout_lost(error: OSError) -> str:
    return f"cannot write standard output: {files.reason(error)}"


def _give_up(stream: TextIO) -> None:
    """Send a standard stream to nowhere: Python would fail again when it flushes what is left."""
    with contextlib.suppress(OSError):  # it need not be a file of the system
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


class _Size(click.ParamType[int]):
    """A number of bytes as people write it: 60kB, 1.5 MB, 48KiB, 60000."""

    name = "size"
    _units: Mapping[str, int] = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmg]i?)?b?", str(value).strip().lower())
        size = round(float(match[1]) * self._units[match[2] or ""]) if match else 0
        if size < 1:
            self.fail(f"{value!r} is not a size such as 60kB (1000 bytes each), 48KiB (1024) or 60000", param, ctx)
        return size


class _Box(click.ParamType[tuple[int, int, int, int]]):
    """LEFT,TOP,WIDTH,HEIGHT in pixels, as Pillow's (left, top, right, bottom)."""

    name = "left,top,width,height"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", str(value))
        left, top, width, height = map(int, match.groups()) if match else (0, 0, 0, 0)
        if width < 1 or height < 1:
            self.fail(f"{value!r} is not LEFT,TOP,WIDTH,HEIGHT in pixels, such as 100,50,640,480", param, ctx)
        return (left, top, left + width, top + height)


class _Price(click.ParamType[tuple[float, float]]):
    """IN,OUT in US dollars for a million tokens."""

    name = "in,out"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*,\s*(\d+(?:\.\d*)?|\.\d+)\s*", str(value))
        if match is None:
            self.fail(f"{value!r} is not IN,OUT in dollars for a million tokens, such as 2.50,10", param, ctx)
        return float(match[1]), float(match[2])


class _Number(click.FloatRange):
    """A number in a range; `nan`, which compares with nothing, is in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


def _options(*options: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[..., Any]:
    """Several options as one decorator, so that commands share them."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_output_options = _options(
    click.option(
        "-o", "--output", metavar="PATH", help="File or folder, or - for standard output.  [default: beside each input]"
    ),
    click.option("-f", "--force", is_flag=True, help="Overwrite files that exist."),
)
_machine_options = _options(
    click.option(
        "-j", "--jobs", metavar="N", type=click.IntRange(1, 256), default=1, show_default=True, help="Files at a time."
    ),
    click.option(
        "--threads", metavar="N", type=click.IntRange(1, 1024), help="CPU threads per file.  [default: cores / jobs]"
    ),
    click.option(
        "--device",
        metavar="NAME",
        default="cpu",
        show_default=True,
        help="Where the network runs: cpu, cuda, cuda:1, ...",
    ),
)
_report_options = _options(
    click.option("--json", "as_json", is_flag=True, help="One JSON object per file on standard output."),
    click.option("--quiet", is_flag=True, help="Say only what went wrong."),
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  tacit encode photo.jpg                         writes photo.tacit
  tacit decode photo.tacit -o photo.png          and back
  tacit encode holiday/ -o small/ -q 40 -j 2     a folder, mirrored
  tacit info small/*.tacit
""",
)
@click.version_option(package_name="tacit", prog_name="tacit", message="%(prog)s %(version)s")
def command() -> None:
    """Compress photographs into small .tacit files, guided by their captions.

    Exit status: 0 all good, 1 something failed, 2 wrong usage, 130 interrupted.
    """


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
@_output_options
@click.option("-q", "--quality", metavar="N", type=_Number(0, 100), help="0 (smallest) to 100.  [default: 50]")
@click.option("--size", type=_Size(), help="Instead: the best that fits this size, such as 60kB or 48KiB.")
@click.option(
    "--bpp",
    metavar="N",
    type=_Number(0, 1000, min_open=True),
    help="Instead: the best that fits this many bits per pixel.",
)
@click.option(
    "--psnr",
    metavar="DB",
    type=_Number(0, 1000, min_open=True),
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
@_machine_options
@_report_options
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
        mapping = None if captions is None else CaptionMap.load(captions)
    except InvalidInput as error:
        raise click.UsageError(f"{error}.") from error
    if mapping is not None and caption is None and not any(mapping.find(task.source) for task in tasks):
        click.echo(f"tacit: warning: captions {captions} have none for any of the files", err=True)
    codec = _codec(tasks, model, device, threads, jobs, text_encoder)

    def work(task: Task) -> Record:
        piped = task.source == STDIO
        photo = load(files.read(STDIO) if piped else task.source)
        found = None
        if not no_caption:
            path = None if piped else task.source
            found = find_caption(path, photo, given=caption, mapping=mapping, use_metadata=not no_metadata)
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
        said = [f"{record['width']}x{record['height']}", _bytes(record["bytes"]), f"{record['bpp']:.3f} bpp"]
        said += [] if record["quality"] is None else [f"quality {record['quality']:.4g}"]
        said += [] if record["psnr"] is None else [f"{record['psnr']:.2f} dB"]
        return ", ".join([*said, f"caption: {record['caption_from'] or 'none'}"])

    # Large photos are ordinary here: Pillow's limit holds, its warning at half of that says nothing new.
    filters: list[Filter] = [("always", ConversionWarning), ("ignore", Image.DecompressionBombWarning)]
    return _Report(tasks, line, as_json, quiet).follow(work, jobs, filters)


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
@_output_options
@click.option(
    "--format", metavar="NAME", type=str.lower, help="png, jpeg, webp, avif, tiff, bmp or ppm.  [default: png]"
)
@click.option("--crop", type=_Box(), help="Decode this part only, in pixels.")
@click.option("--salvage", is_flag=True, help="Decode what is whole of a damaged file.")
@click.option(
    "-m", "--model", metavar="NAME", help="A weights file, for files that were encoded with weights of your own."
)
@_machine_options
@_report_options
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
    from tacit.export import FORMATS, to_bytes

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
        return f"{record['width']}x{record['height']}, {_bytes(record['bytes'])}"

    return _Report(tasks, line, as_json, quiet).follow(work, jobs, [("always", UserWarning)])


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
        return _fields(about)

    return _Report(tasks, line, as_json, quiet=False).follow(work, jobs=1)


@command.command(
    short_help="Have a model look at images and describe them.",
    epilog="""\b
Examples:
  tacit caption photos/ -o captions.jsonl --estimate    what it would cost
  tacit caption photos/ -o captions.jsonl               GPT-4o; the key is in OPENAI_API_KEY
  tacit caption shards/*.tar -o captions.jsonl --yes    the images in tar shards
  tacit caption photos/ --base-url http://localhost:8000/v1 -m my-model
  tacit caption photos/ --local -m Salesforce/blip-image-captioning-large
  tacit encode photos/ -o small/ --captions captions.jsonl
\b
An interrupted run goes on where it was: pictures that have a row in the output
are left alone, and answers are kept in a cache.
""",
)
@click.argument("inputs", metavar="FILE|FOLDER|PATTERN|SHARD ...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    default="captions.jsonl",
    show_default=True,
    help="A JSONL file; rows are added to one that exists.",
)
@click.option("-f", "--force", is_flag=True, help="Write the output anew, without the rows it has.")
@click.option(
    "-m",
    "--model",
    metavar="NAME",
    help="The endpoint's model, or with --local a folder or hub name.  [default: gpt-4o]",
)
@click.option("--local", is_flag=True, help="Run the model here, with transformers, instead of asking an endpoint.")
@click.option(
    "--base-url",
    metavar="URL",
    help="An endpoint that speaks OpenAI's protocol. It gets the key.  [default: $OPENAI_BASE_URL, else OpenAI]",
)
@click.option("--prompt", metavar="FILE", help="What the model is asked.  [default: the one in the package]")
@click.option(
    "--image-size",
    metavar="N",
    type=click.IntRange(32, 8192),
    default=1024,
    show_default=True,
    help="The longer side of the images sent, at most.",
)
@click.option(
    "--max-tokens",
    metavar="N",
    type=click.IntRange(1, 16384),
    default=300,
    show_default=True,
    help="The length of an answer, at most.",
)
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(1, 256), default=4, show_default=True, help="At a time.")
@click.option(
    "--rate",
    metavar="N",
    type=_Number(0, 100_000, min_open=True),
    default=120,
    show_default=True,
    help="Requests a minute, at most.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=_Number(0, 3600, min_open=True),
    default=60,
    show_default=True,
    help="For each request.",
)
@click.option(
    "--attempts", metavar="N", type=click.IntRange(1, 100), default=6, show_default=True, help="For each picture."
)
@click.option("--cache", metavar="FOLDER", help="Where answers are kept.  [default: ~/.cache/tacit/captions]")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep answers.")
@click.option("--price", type=_Price(), help="Dollars for a million tokens, such as 2.50,10, for the estimate.")
@click.option(
    "--limit",
    metavar="DOLLARS",
    type=_Number(0),
    default=1,
    show_default=True,
    help="Ask for --yes where the estimate is higher.",
)
@click.option("-y", "--yes", is_flag=True, help="Go on whatever the estimate.")
@click.option("--estimate", "only_estimate", is_flag=True, help="Say what it would cost, and stop.")
@click.option("--device", metavar="NAME", default="cpu", show_default=True, help="With --local: cpu, cuda, cuda:1, ...")
@_report_options
def caption(
    inputs: tuple[str, ...],
    output: str,
    force: bool,
    model: str | None,
    local: bool,
    base_url: str | None,
    prompt: str | None,
    image_size: int,
    max_tokens: int,
    jobs: int,
    rate: float,
    timeout: float,
    attempts: int,
    cache: str | None,
    no_cache: bool,
    price: tuple[float, float] | None,
    limit: float,
    yes: bool,
    only_estimate: bool,
    device: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Have a model look at images and describe them, for `encode --captions`, training and evaluation."""
    if local and (model is None or base_url is not None or price is not None):
        raise click.UsageError("--local needs a --model, and goes with neither --base-url nor --price.")

    from PIL import Image

    from tacit import captions
    from tacit.image import ConversionWarning

    question = captions.load_prompt(prompt)
    options = captions.EndpointOptions(
        model=model or "gpt-4o",
        base_url=base_url or os.environ.get("OPENAI_BASE_URL") or captions.EndpointOptions.base_url,
        image_size=image_size,
        max_tokens=max_tokens,
        rate=rate,
        timeout=timeout,
        attempts=attempts,
    )
    captioner: captions.Captioner
    with contextlib.ExitStack() as stack:
        if model is not None and local:
            captioner = captions.LocalCaptioner(model, question, device=device, max_tokens=max_tokens)
        else:
            captioner = stack.enter_context(captions.EndpointCaptioner(question, options))
        rows = stack.enter_context(captions.CaptionRows(output, anew=force))
        answers = None if no_cache else captions.AnswerCache(cache or captions.default_folder())
        captioning = captions.Captioning(captioner, rows, answers)

        pictures = {picture.name: picture for picture in captions.find_pictures(inputs)}
        left = captioning.remainder(pictures.values())
        cost = captions.estimate(
            left.sizes,
            question,
            model=options.model,
            image_size=image_size,
            max_tokens=max_tokens,
            price=price and captions.Price(*price),
        )
        if not quiet or only_estimate:
            click.echo(f"tacit: {left}", err=True)
            if not local and left.sizes:
                click.echo(f"tacit: {cost}", err=True)
        if only_estimate:
            return 0
        if not local and not yes and cost.exceeds(limit):
            bound = f"{captions.UNPRICED} requests at an unknown price" if cost.dollars is None else f"${limit:g}"
            raise click.UsageError(f"That is more than {bound}: {cost}. Go on with --yes.")

        def work(task: Task) -> Record:
            return captioning(pictures[task.source])

        tasks = [Task(picture.name, problem=picture.problem) for picture in pictures.values()]
        filters: list[Filter] = [("ignore", ConversionWarning), ("ignore", Image.DecompressionBombWarning)]
        stack.enter_context(captioning.stopping())
        report = _Report(tasks, _described, as_json, quiet, fatal=CaptionerUnusable)
        return report.follow(work, jobs, filters)


def _described(record: Record) -> str:
    """A caption's beginning, and where it comes from."""
    if record["from"] == "row":
        return "  has a caption"
    text = str(record["caption"])
    return f"  {text if len(text) <= 60 else text[:57] + '...'}" + (
        " (from the cache)" if record["from"] == "cache" else ""
    )


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model on standard output.")
def models(as_json: bool) -> int:
    """List the models on this machine, with their training cards."""
    from tacit import weights

    status = 0
    for name in weights.available_models():
        try:
            model = weights.describe(weights.locate(name))
        except TacitError as error:
            click.echo(f"tacit: {error}", err=True)
            status = EXIT_FAILED
            continue
        about = {
            "path": str(model.path),
            "architecture": model.architecture,
            "bytes": model.size,
            "variable_rate": model.variable_rate,
            "weights_hash": model.decode_hash.hex(),
        }
        if as_json:
            click.echo(_json({"name": name, **about, "card": dict(model.card)}))
        else:
            click.echo(name + _fields(about | dict(model.card)))
    return status


@command.command(
    "import-taco",
    short_help="Freeze a published TACO checkpoint.",
    epilog="""\b
Example:
  tacit import-taco taco_0.0004.pth.tar taco-low.safetensors
  tacit encode photo.jpg -m taco-low.safetensors -c "a red boat on a lake"
\b
Files made with it are decoded with the same OUT: share that one, not the checkpoint.
""",
)
@click.argument("checkpoint")
@click.argument("out", required=False)
@click.option("-o", "--output", metavar="OUT", help="The same as OUT.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT if it exists.")
def import_taco(checkpoint: str, out: str | None, output: str | None, force: bool) -> None:
    """Freeze a published TACO CHECKPOINT (.pth.tar) to integers and save it as the weights file OUT."""
    if out is not None and output is not None:
        raise click.UsageError("Name one OUT: after CHECKPOINT, or with -o/--output.")
    out = out or output
    if not out:
        raise click.UsageError("Name the weights file to write: CHECKPOINT OUT, or -o/--output OUT.")
    if not force and os.path.lexists(out):
        raise PathError(f"{out} is there already (-f/--force overwrites it)")
    from tacit import weights

    weights.import_taco(checkpoint, out)
    click.echo(f"{checkpoint} -> {out}  {_bytes(os.path.getsize(out))}")


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
  clic:PATH, coco:PATH.
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
@click.option("-o", "--output", metavar="FOLDER", help="Where results, files and the report go.")
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

    progress = _Progress(quiet)
    try:
        found = run_evaluation(
            EvalOptions(
                datasets,
                _names(codecs),
                _names(metrics),
                Path(output),
                qualities=dict(map(_qualities, qualities)),
                commands=codec_file,
                command=click.get_current_context().obj,
                **options,
            ),
            progress,
        )
    except (UnknownModel, InvalidInput) as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        progress.say(f"what is done is kept in {output}, and the same command goes on from there")
        raise
    finally:
        progress.close()
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


class _Progress:
    """An evaluation's progress, on standard error: a bar where that is a terminal, else a line now and then."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None

    def begin(self, total: int, known: int) -> None:
        if not self._quiet:
            from tqdm import tqdm

            interval = 0.1 if sys.stderr.isatty() else 30
            self._bar = tqdm(total=total, initial=known, unit="file", mininterval=interval, dynamic_ncols=True)

    def done(self, text: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()

    def say(self, text: str) -> None:
        text = f"tacit: {text}".encode("utf-8", "backslashreplace").decode()
        if self._bar is None:
            click.echo(text, err=True)
        else:
            with self._bar.external_write_mode(file=sys.stderr):
                click.echo(text, err=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


_config_argument = click.argument("config", metavar="CONFIG")
_overrides_argument = click.argument("overrides", metavar="[SECTION.KEY=VALUE]...", nargs=-1)
_print_config_option = click.option("--print-config", is_flag=True, help="Show what would be run, as YAML, and stop.")


@command.command(
    short_help="Train a model.",
    epilog="""\b
Examples:
  tacit train smoke                                     two minutes, on scikit-image's photographs
  tacit train tacit-s data.kind=folder data.path=photos
  tacit train my.yaml run.minutes=600 optimizer.learning_rate=5e-4
  tacit train taco-published --print-config > my.yaml
""",
)
@_config_argument
@_overrides_argument
@click.option("--resume", metavar="CHECKPOINT", help="Go on from here, where run.out has no checkpoint of its own.")
@click.option(
    "--prepare", metavar="FOLDER", help="Write photos and embedded captions for data.kind=prepared, and stop."
)
@_print_config_option
def train(config: str, overrides: tuple[str, ...], resume: str | None, prepare: str | None, print_config: bool) -> None:
    """Train by CONFIG: tacit-s, taco-published, taco-variable or smoke, or a YAML file.

    A run goes on from the last checkpoint in run.out, if there is one.
    """
    settings = _training(config, overrides)
    if print_config:
        click.echo(settings.to_yaml(), nl=False)
        return
    from tacit.training import fit

    if prepare is not None:
        photos, captions = fit.prepare(settings, Path(prepare))
        click.echo(f"{photos} photos, {captions} captions -> {prepare}")
        return
    click.echo(fit.train(settings, resume=None if resume is None else Path(resume)))


@command.command(
    "fine-tune",
    short_help="Train on from weights.",
    epilog="""\b
Examples:
  tacit fine-tune runs/tacit-s/last.ckpt tacit-s loss.perceptual=0.5 run.out=runs/perceptual
  tacit fine-tune tacit-s tacit-s data.kind=folder data.path=photos schedule.warmup=1000
  tacit fine-tune taco_0.0004.pth.tar taco-published run.out=runs/mine
""",
)
@click.argument("weights")
@_config_argument
@_overrides_argument
@_print_config_option
def fine_tune(weights: str, config: str, overrides: tuple[str, ...], print_config: bool) -> None:
    """Train by CONFIG, beginning with WEIGHTS: a training checkpoint, a weights file or its name, or a published TACO
    checkpoint (.pth.tar).
    """
    settings = _training(config, overrides)
    if print_config:
        click.echo(settings.to_yaml(), nl=False)
        return
    from tacit.training import fit

    click.echo(fit.fine_tune(settings, weights))


@command.command(
    short_help="Freeze a training checkpoint into a weights file.",
    epilog="""\b
Example:
  tacit export runs/tacit-s/last.ckpt my.safetensors
  tacit encode photo.jpg -m my.safetensors
""",
)
@click.argument("checkpoint")
@click.argument("out")
@click.option("--photos", metavar="PATH", help="Pool, folder or JSONL list for the activations' ranges.")
@click.option("--terms", metavar="TEXT", help="The terms of the data, for the training card.")
@click.option("-f", "--force", is_flag=True, help="Overwrite OUT if it exists.")
def export(checkpoint: str, out: str, photos: str | None, terms: str | None, force: bool) -> None:
    """Freeze the averaged weights of CHECKPOINT to integers, prove them, and save them as the weights file OUT.

    Without --photos the run's own data serve.
    """
    if not force and os.path.lexists(out):
        raise PathError(f"{out} is there already (-f/--force overwrites it)")
    exporting = _extra_train("tacit.training.export")
    card = {} if terms is None else {"terms": terms}
    exporting.export(Path(checkpoint), Path(out), photos=None if photos is None else Path(photos), card=card)
    click.echo(f"{checkpoint} -> {out}  {_bytes(os.path.getsize(out))}")


@command.command(short_help="Compress sample photographs and make a page of it.")
@click.option("-o", "--output", metavar="FOLDER", default="demo", show_default=True, help="Where the page goes.")
def demo(output: str) -> None:
    """Compress sample photographs and make a page of pictures and figures beside JPEG, WebP and AVIF."""
    from tacit import demo as demonstration

    demonstration.run(output)


def _training(config: str, overrides: Sequence[str]) -> Any:
    """The configuration of a run; a wrong one is wrong usage."""
    _extra_train("tacit.training.fit")
    from tacit.training import config as configurations

    try:
        return configurations.read(config, overrides)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error


def _extra_train(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"training needs {error.name}: pip install 'tacit[train]'") from error


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
) -> Codec:
    """The codec that all tasks share; wrong options are wrong usage."""
    from tacit.codec import Codec

    if threads is None and jobs > 1:
        threads = max(1, _cores() // jobs)
    given = {"model": model, "text_encoder": text_encoder}
    named: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return Codec(**named, device=device, threads=threads)
    except (UnknownModel, InvalidInput) as error:
        raise click.UsageError(str(error)) from error


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Report:
    """Says what comes of each file: a line or a JSON object, warnings, errors, progress, and a summary of several.

    The conversions go on where nothing can be said any more: quietly where the reader has left (`| head -1`), else
    with a line on standard error and a status that says that something failed.

    line: what is said of a record, after the names of the files. fatal: an error that ends the batch, since every file
    would have it.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        line: Callable[[Record], str],
        as_json: bool,
        quiet: bool,
        fatal: type[TacitError] | None = None,
    ) -> None:
        self._fatal = fatal
        self._tasks = tasks
        self._line = line
        self._json = as_json
        self._quiet = quiet
        self._data_on_stdout = any(task.output == STDIO for task in tasks)
        self._bar: Any = None
        self._lost = False

    def follow(self, work: Callable[[Task], Record], jobs: int, filters: Sequence[Filter] = ()) -> int:
        """Run the batch and return the exit status."""
        if len(self._tasks) > 1 and not self._quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=len(self._tasks), unit="file", dynamic_ncols=True, leave=False)
        try:
            summary = run(self._tasks, work, self._outcome, jobs=jobs, filters=filters)
        finally:
            if self._bar is not None:
                self._bar.close()
        return self._summary(summary)

    def _outcome(self, outcome: Outcome) -> None:
        task = outcome.task
        if self._fatal is not None and isinstance(outcome.error, self._fatal):
            raise outcome.error
        name = "standard input" if task.source == STDIO else task.source
        warnings = [_without_name(text, task) for text in outcome.warnings]
        for warning in warnings:
            self._say(f"tacit: {name}: warning: {warning}", err=True)
        if outcome.error is not None:
            _debug(outcome.error)
            self._say(f"tacit: {name}: {_without_name(outcome.error, task)}", err=True)
        if self._json:
            said: dict[str, object] = {"file": task.source}
            if outcome.error is not None:
                said |= {"error": _without_name(outcome.error, task), "kind": type(outcome.error).__name__}
            elif outcome.record is not None:
                said |= {"output": task.output} if task.output else {}
                said |= {**outcome.record, "seconds": round(outcome.seconds, 3)}
            said |= {"warnings": warnings} if warnings else {}
            self._say(_json(said))
        elif outcome.record is not None and not self._quiet:
            arrow = f" -> {task.output}  " if task.output else ""
            self._say(f"{task.source}{arrow}{self._line(outcome.record)}", err=self._data_on_stdout)
        if self._bar is not None:
            self._bar.update()

    def _summary(self, summary: Summary) -> int:
        if summary.interrupted:
            self._say(f"tacit: interrupted: {summary.done} of {summary.total} files done", err=True)
            return EXIT_INTERRUPTED
        if summary.total > 1 and (summary.failed or not self._quiet):
            failed = f", {summary.failed} failed" if summary.failed else ""
            self._say(f"tacit: {summary.done} of {summary.total} files done{failed}", err=True)
        return EXIT_FAILED if summary.failed or self._lost else 0

    def _say(self, text: str, err: bool = False) -> None:
        text = text.encode("utf-8", "backslashreplace").decode()  # a path need not be UTF-8
        try:
            if self._bar is None:
                click.echo(text, err=err)
            else:
                with self._bar.external_write_mode(file=sys.stderr if err else sys.stdout):
                    click.echo(text, err=err)
        except OSError as error:
            _give_up(sys.stderr if err else sys.stdout)
            if not isinstance(error, BrokenPipeError) and not self._lost:
                self._lost = True
                if not err:
                    rest = " (the work goes on)" if len(self._tasks) > 1 else ""
                    self._say(f"tacit: {_stdout_lost(error)}{rest}", err=True)


def _without_name(message: object, task: Task) -> str:
    """One line, without the file's name in front: the line that it goes into begins with that."""
    name = "image: " if task.source == STDIO else f"{task.source}: "
    return " ".join(str(message).removeprefix(name).split())


def _debug(error: BaseException) -> None:
    if os.environ.get("TACIT_DEBUG"):
        traceback.print_exception(error)


def _json(values: Mapping[str, object]) -> str:
    # ASCII only: a path that is not UTF-8 is escaped (\\udcXX) rather than unprintable. No NaN: it is not JSON.
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
    return json.dumps(finite, allow_nan=False)


def _bytes(size: Any) -> str:
    """A size as people read it; kB is 1000 bytes, as in --size."""
    return f"{size} B" if size < 1000 else f"{size / 1000:.1f} kB" if size < 1e6 else f"{size / 1e6:.2f} MB"


def _fields(values: Mapping[str, object]) -> str:
    """Names and values below each other; what is not there is left out."""
    shown = {name.replace("_", " "): value for name, value in values.items() if value not in (None, "")}
    return "".join(
        f"\n  {name:<15} {f'{value:.4g}' if isinstance(value, float) else value}" for name, value in shown.items()
    )
