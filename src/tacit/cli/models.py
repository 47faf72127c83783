"""`tacit models` and `import-taco`: the weights on this machine."""

from __future__ import annotations

import os

import click

from tacit.cli.group import command
from tacit.cli.options import weights_file, weights_file_options
from tacit.cli.output import EXIT_FAILED, as_bytes, as_fields, as_line
from tacit.errors import TacitError


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
            click.echo(as_line({"name": name, **about, "card": dict(model.card)}))
        else:
            click.echo(name + as_fields(about | dict(model.card)))
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
@weights_file_options
def import_taco(checkpoint: str, out: str | None, output: str | None, force: bool) -> None:
    """Freeze a published TACO CHECKPOINT (.pth.tar) to integers and save it as the weights file OUT."""
    out = weights_file(out, output, force)
    from tacit import weights

    weights.import_taco(checkpoint, out)
    click.echo(f"{checkpoint} -> {out}  {as_bytes(os.path.getsize(out))}")
