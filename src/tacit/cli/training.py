"""`tacit train`, `fine-tune` and `export`: weights of your own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tacit.cli.group import command
from tacit.cli.options import weights_file, weights_file_options
from tacit.cli.output import as_bytes
from tacit.errors import InvalidInput, MissingExtra

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
    """Train by CONFIG: smoke, tacit-s, tacit-s-tuned, taco-published or taco-variable, or a YAML file.

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
@weights_file_options
@click.option("--photos", metavar="PATH", help="Pool, folder or JSONL list for the activations' ranges.")
@click.option("--terms", metavar="TEXT", help="The terms of the data, for the training card.")
def export(
    checkpoint: str, out: str | None, output: str | None, force: bool, photos: str | None, terms: str | None
) -> None:
    """Freeze the averaged weights of CHECKPOINT to integers, prove them, and save them as the weights file OUT.

    Without --photos the run's own data serve.
    """
    out = weights_file(out, output, force)
    exporting = _extra_train("tacit.training.export")
    card = {} if terms is None else {"terms": terms}
    exporting.export(Path(checkpoint), Path(out), photos=None if photos is None else Path(photos), card=card)
    click.echo(f"{checkpoint} -> {out}  {as_bytes(os.path.getsize(out))}")


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
