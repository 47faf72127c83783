"""`tacit train`, `tacit fine-tune` and `tacit export`: weights of your own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tacit.cli.formatting import byte_size
from tacit.cli.group import command
from tacit.cli.options import weights_file, weights_file_options
from tacit.errors import InvalidInput, MissingExtra

_config_argument = click.argument("config", metavar="CONFIG")
_overrides_argument = click.argument("overrides", metavar="[SECTION.KEY=VALUE]...", nargs=-1)
_print_config_option = click.option("--print-config", is_flag=True, help="Print the configuration as YAML and stop.")


@command.command(
    short_help="Train a model.",
    epilog="""\b
Examples:
  tacit train smoke                                     two minutes, on sample images
  tacit train tacit-s data.kind=folder data.path=photos
  tacit train my.yaml run.minutes=600 optimizer.learning_rate=5e-4
  tacit train taco-published --print-config > my.yaml
\b
Run an interrupted command again to go on from the last checkpoint in run.out.
""",
)
@_config_argument
@_overrides_argument
@click.option(
    "--resume", metavar="CHECKPOINT", help="Checkpoint to go on from, if run.out has no checkpoint of its own."
)
@click.option(
    "--prepare",
    metavar="FOLDER",
    help="Instead of training: write the images and their embedded captions to FOLDER, for data.kind=prepared.",
)
@_print_config_option
def train(config: str, overrides: tuple[str, ...], resume: str | None, prepare: str | None, print_config: bool) -> None:
    """Train a model by CONFIG: smoke, tacit-s, tacit-s-tuned, taco-published, taco-variable, or a YAML file.

    SECTION.KEY=VALUE changes single values of the configuration.
    """
    settings = _read_config(config, overrides)
    if print_config:
        click.echo(settings.to_yaml(), nl=False)
        return
    if prepare is not None:
        from tacit.training import preparation

        images, captions = preparation.prepare(settings, Path(prepare))
        click.echo(f"{images} images, {captions} captions -> {prepare}")
        return
    from tacit.training import run

    click.echo(run.train(settings, resume=None if resume is None else Path(resume)))


@command.command(
    "fine-tune",
    short_help="Train a model that begins with given weights.",
    epilog="""\b
Examples:
  tacit fine-tune runs/tacit-s/last.ckpt tacit-s-tuned data.path=pool
  tacit fine-tune tacit-s tacit-s-tuned data.kind=folder data.path=photos
  tacit fine-tune taco_0.0004.pth.tar taco-published run.out=runs/mine
""",
)
@click.argument("weights")
@_config_argument
@_overrides_argument
@_print_config_option
def fine_tune(weights: str, config: str, overrides: tuple[str, ...], print_config: bool) -> None:
    """Train a model by CONFIG that begins with WEIGHTS.

    WEIGHTS is a training checkpoint, a weights file, the name of a model, or a published TACO checkpoint (.pth.tar).
    CONFIG is as for `tacit train`, and SECTION.KEY=VALUE changes single values of it.
    """
    settings = _read_config(config, overrides)
    if print_config:
        click.echo(settings.to_yaml(), nl=False)
        return
    from tacit.training import run

    click.echo(run.fine_tune(settings, weights))


@command.command(
    short_help="Export a training checkpoint as a weights file.",
    epilog="""\b
Examples:
  tacit export runs/tacit-s/last.ckpt my.safetensors
  tacit encode photo.jpg -m my.safetensors
""",
)
@click.argument("checkpoint")
@weights_file_options
@click.option(
    "--photos",
    metavar="PATH",
    help="Pool, folder or JSONL list of images that the ranges of activations are measured on.  [default: the run's "
    "own data]",
)
@click.option("--terms", metavar="TEXT", help="Terms of use of the training data, for the training card.")
def export(
    checkpoint: str, out: str | None, output: str | None, force: bool, photos: str | None, terms: str | None
) -> None:
    """Export the averaged weights of a training CHECKPOINT as the weights file OUT.

    The entropy model is frozen to integers, and it is proven that no sum can overflow, so that files decode to the same
    image on every machine.
    """
    path = weights_file(out, output, force)
    exporting = _import_training("tacit.training.export")
    card = {} if terms is None else {"terms": terms}
    exporting.export(Path(checkpoint), Path(path), images=None if photos is None else Path(photos), card=card)
    click.echo(f"{checkpoint} -> {path}  {byte_size(os.path.getsize(path))}")


def _read_config(config: str, overrides: Sequence[str]) -> Any:
    """Return the configuration of a training run.

    Raises:
        click.UsageError: The configuration is wrong.
    """
    _import_training("tacit.training.run")
    from tacit.training import config as configurations

    try:
        return configurations.read(config, overrides)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error


def _import_training(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"training needs {error.name}: pip install 'tacit[train]'") from error
