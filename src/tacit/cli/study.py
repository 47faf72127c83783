"""`tacit study`: what enhancements and captions are worth."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from tacit.cli.group import command
from tacit.cli.options import quiet_option
from tacit.cli.progress import resumable_progress
from tacit.errors import InvalidInput, MissingExtra


@command.command(
    short_help="Measure what enhancements and captions are worth.",
    epilog="""\b
Examples:
  tacit study captions -o captions-study
  tacit study steering -o steering-study weights=my.safetensors pairs=24
  tacit study oracle -o oracle-study images=seen
  tacit study survive -o survive rates=[0.15]
  tacit study small -o ablation -j 2
  tacit study my.yaml -o ablation seeds=[0,1,2]
\b
Configurations in the package:
  captions   compares the same weights with no caption, a short one, a detailed
             one, and another image's
  oracle     measures what steering is worth where boxes say what is named, and
             what part of it words reach
  survive    measures whether what is named can still be read, detected and
             recognised in small files of equal size
  sweep      measures strengths and forms of such maps
  steering   measures whether words bring quality to what they name, in mosaics
             and in single images
  small      compares variants of tacit-s-mse, fine-tuned from its weights: linear
             attention, weighted words, richer captions, all together
They expect the Kodak images in $TACIT_DATA/kodak, and `small` also a pool of
images in $TACIT_POOL, which tacit.training.dataset.pool.build_pool makes.
\b
FOLDER keeps what is done: run an interrupted command again to go on from there.
""",
)
@click.argument("config", metavar="CONFIG")
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("-o", "--output", metavar="FOLDER", help="Folder for the files, the results and the report.")
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Number of processes.",
)
@click.option("--print-config", is_flag=True, help="Print the configuration as YAML and stop.")
@quiet_option
def study(
    config: str, overrides: tuple[str, ...], output: str | None, jobs: int, print_config: bool, quiet: bool
) -> None:
    """Run the study CONFIG, which is a configuration in the package or a YAML file.

    KEY=VALUE changes single values of the configuration.
    """
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

    with resumable_progress(output, quiet) as progress:
        run_study(settings, Path(output), progress, jobs=jobs, command=click.get_current_context().obj)
    if not quiet:
        click.echo(Path(output, MARKDOWN))
