"""`tacit study` and `map`: what enhancements and captions are worth, and where the bits go."""

from __future__ import annotations

import importlib
import io
from pathlib import Path

import click

from tacit import files
from tacit.cli.evaluation import running
from tacit.cli.group import command
from tacit.cli.options import Number
from tacit.errors import InvalidInput, MissingExtra, PathError


@command.command(
    short_help="Measure what enhancements and captions are worth.",
    epilog="""\b
Examples:
  tacit study captions -o captions-study
  tacit study steering -o steering-study weights=my.safetensors pairs=24
  tacit study small -o ablation -j 2
  tacit study my.yaml -o ablation seeds=[0,1,2]
\b
Configurations in the package:
  captions   the same weights with no caption, a short one, a detailed one, and
             another image's
  steering   whether words bring quality to what they name, in mosaics and in
             single photos
  small      variants of tacit-s-mse, fine-tuned from its weights: linear attention,
             weighted words, richer captions, all together
They expect Kodak's images in $TACIT_DATA/kodak, and `small` a pool of photos at
$TACIT_POOL (tacit.training.dataset.pool.build_pool makes one).
\b
What is done is kept in FOLDER: the same command goes on where it was interrupted.
""",
)
@click.argument("config", metavar="CONFIG")
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("-o", "--output", metavar="FOLDER", help="Where files, results and the report go.")
@click.option("-j", "--jobs", metavar="N", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--print-config", is_flag=True, help="Show what would be run, as YAML, and stop.")
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
def study(
    config: str, overrides: tuple[str, ...], output: str | None, jobs: int, print_config: bool, quiet: bool
) -> None:
    """Run the study CONFIG: one of the package's, or a YAML file."""
    try:
        configurations = importlib.import_module("tacit.study.config")
    except ImportError as error:
        raise MissingExtra(f"studies need {error.name}: pip install 'tacit[eval,train]'") from error
    try:
        settings = configurations.read(config, overrides)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error
    if print_config:
        import yaml

        click.echo(yaml.safe_dump(configurations.plain(settings), sort_keys=False, default_flow_style=None), nl=False)
        return
    if output is None:
        raise click.UsageError("Name a folder for the results (-o/--output).")
    from tacit.study.report import MARKDOWN
    from tacit.study.run import run_study

    with running(output, quiet) as progress:
        run_study(settings, Path(output), progress, jobs=jobs, command=click.get_current_context().obj)
    if not quiet:
        click.echo(Path(output, MARKDOWN))


@command.command(
    "map",
    short_help="Show where the bits of a photo go.",
    epilog="""\b
Examples:
  tacit map photo.jpg -o map.png
  tacit map photo.jpg -c "the red boat" -q 30 -o map.png
""",
)
@click.argument("photo", metavar="PHOTO")
@click.option("-c", "--caption", metavar="TEXT", help="Also with this caption, and what it changes.")
@click.option("-q", "--quality", metavar="N", type=Number(0, 100), help="0 to 100.  [default: 50]")
@click.option("-o", "--output", metavar="PATH", required=True, help="The picture to write: .png, .jpg, .webp, ...")
@click.option("-m", "--model", metavar="NAME", default="tacit-s", show_default=True, help="Name or weights file.")
@click.option("-f", "--force", is_flag=True, help="Overwrite the picture if it exists.")
def bit_map(photo: str, caption: str | None, quality: float | None, output: str, model: str, force: bool) -> None:
    """Draw where the bits of PHOTO go: without a caption, with it, and the difference, in bits per pixel."""
    from PIL import Image

    from tacit.codec import Codec
    from tacit.study.bit_allocation import bit_allocation, draw

    suffix = Path(output).suffix.lower()
    kind = Image.registered_extensions().get(suffix)
    if kind is None or kind not in Image.SAVE:
        raise click.UsageError(f"{output}: a picture's suffix is needed, such as .png")
    if not force and Path(output).exists():
        raise PathError(f"{output} is there already (-f/--force overwrites it)")
    picture = draw(bit_allocation(Codec(model), photo, caption, quality))
    stream = io.BytesIO()
    picture.save(stream, kind)
    files.write(output, stream.getvalue(), force=force)
    click.echo(output)
