"""`tacit models` and `tacit import-taco`: the weights on this machine."""

from __future__ import annotations

import os

import click

from tacit.cli.console import EXIT_FAILED, print_message
from tacit.cli.formatting import byte_size, field_lines, json_line
from tacit.cli.group import command
from tacit.cli.options import weights_file, weights_file_options
from tacit.cli.progress import DownloadProgress
from tacit.errors import TacitError
from tacit.extras import require


@command.command(
    short_help="List the models on this machine, with their training cards.",
    epilog="""\b
Examples:
  tacit models
  tacit models --json | jq -r .name
  tacit models --download tacit-s-mse
  tacit models --card tacit-s > README.md
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each model on standard output.")
@click.option("--download", metavar="NAME", help="Download a model that is not on this machine, and print its path.")
@click.option("--card", metavar="MODEL", help="Print a model's card for a model hub, as Markdown.")
def models(as_json: bool, download: str | None, card: str | None) -> int:
    """List the models on this machine, with their training cards.

    These are the models in the package and those in the folder $TACIT_WEIGHTS (~/.local/share/tacit/weights if it is
    not set). Nothing is downloaded unless --download asks for it; its hash is verified.
    """
    from tacit import weights

    if as_json + (download is not None) + (card is not None) > 1:
        raise click.UsageError("--json, --download and --card exclude each other")
    if card is not None:
        click.echo(weights.model_card(weights.describe(weights.locate(card))), nl=False)
        return 0
    if download is not None:
        with DownloadProgress() as progress:
            path = weights.download(download, progress.show)
        click.echo(path)
        return 0
    status = 0
    for name in weights.available_models():
        try:
            model = weights.describe(weights.locate(name))
        except TacitError as error:
            print_message(error)
            status = EXIT_FAILED
            continue
        values = {
            "path": str(model.path),
            "architecture": model.architecture,
            "bytes": model.size,
            "variable_rate": model.variable_rate,
            "weights_hash": model.decode_hash.hex(),
        }
        if as_json:
            click.echo(json_line({"name": name, **values, "card": dict(model.card)}))
        else:
            click.echo(name + field_lines(values | dict(model.card)))
    return status


@command.command(
    "import-taco",
    short_help="Import a published TACO checkpoint as a weights file.",
    epilog="""\b
Examples:
  tacit import-taco taco_0.0004.pth.tar taco-low.safetensors
  tacit encode photo.jpg -m taco-low.safetensors -c "a red boat on a lake"
\b
Files that are made with OUT can be decoded only with the same OUT: share that
file, not the checkpoint.
""",
)
@click.argument("checkpoint")
@weights_file_options
def import_taco(checkpoint: str, out: str | None, output: str | None, force: bool) -> None:
    """Import a published TACO CHECKPOINT (.pth.tar) as the weights file OUT.

    Its entropy model is frozen to integers, so that files decode to the same image on every machine.
    """
    path = weights_file(out, output, force)
    require("torch", "import-taco", "torch")
    from tacit import weights

    weights.import_taco(checkpoint, path)
    click.echo(f"{checkpoint} -> {path}  {byte_size(os.path.getsize(path))}")
