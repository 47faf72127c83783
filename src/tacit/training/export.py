"""From a checkpoint to a weights file: averaged weights, entropy networks frozen to integers and proven, and a card."""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tacit import yaml_config
from tacit.errors import InvalidInput
from tacit.models.float_model import FloatModel
from tacit.text.tokens import TextTokens
from tacit.training import config as configurations
from tacit.training.checkpoint import Checkpoint, read_checkpoint
from tacit.training.config import Config, DataConfig
from tacit.training.datamodule import TrainingData

if TYPE_CHECKING:
    from tacit.models.frozen import FrozenEntropy

CROPS, SIZE = 32, 256  # photographs from which the activations' ranges are taken


def export(checkpoint: Path, out: Path, *, photos: Path | None = None, card: Mapping[str, Any] | None = None) -> str:
    """Write the weights file `out`, and return its decode hash.

    photos: a pool, a folder or a JSONL list for the activations' ranges; the run's own data if not given. card: what
    the training card shall say besides what is known (the terms of the data, say).

    Raises: PathError, CorruptWeights, InvalidInput, NotExact.
    """
    from tacit import weights

    found = read_checkpoint(checkpoint)
    model = found.averaged().eval()
    data = _data(photos, found)
    feed = TrainingData(Config(data=data, run=configurations.RunConfig(steps=1)), "", 1)
    frozen = freeze(model, feed.crops(CROPS))
    return weights.save(out, model, frozen, training_card(found) | dict(card or {}))


@torch.no_grad()
def freeze(model: FloatModel, crops: Tensor) -> FrozenEntropy:
    """Freeze with crops [N, 3, H, W] uint8 as samples, qualities spread evenly over them."""
    from tacit.models.freezing import freeze_entropy

    quality = torch.linspace(0, 100, crops.shape[0])
    x = crops.float() / 255
    y = model.analysis(x, TextTokens.empty(x.shape[0], model.config.text_width)).float()
    if model.gain is not None:
        y = y * model.gain(quality)
    return freeze_entropy(model, y, model.hyper_latents(y), quality)


def training_card(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint says of how it was made."""
    card: dict[str, Any] = {"steps": checkpoint.steps, "gigapixels": round(checkpoint.pixels / 1e9, 3)}
    if checkpoint.config is not None:
        data, loss, optimizer = (checkpoint.config[k] for k in ("data", "loss", "optimizer"))
        card["data"] = f"{data['kind']} {data['path']}".strip()
        card["crop"], card["batch"] = data["crop"], data["batch"]
        usual = configurations.LossConfig()
        said = {k: list(v) if isinstance(v, tuple) else v for k, v in loss.items()}
        card["loss"] = ", ".join(
            f"{k} {v}"
            for k, v in said.items()
            if k in ("mse", "lambda_low", "lambda_high") or v != yaml_config.plain(getattr(usual, k, None))
        )
        card["optimizer"], card["learning_rate"] = optimizer["kind"], optimizer["learning_rate"]
        card["hours"] = round(checkpoint.seconds / 3600, 2)
    if checkpoint.figures:
        card["figures"] = checkpoint.figures
    card["exported_on"] = f"{platform.machine()}, torch {torch.__version__}"
    card["command"] = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return card


def _data(photos: Path | None, checkpoint: Checkpoint) -> DataConfig:
    if photos is None:
        if checkpoint.config is None:
            raise InvalidInput(f"{checkpoint.path} does not say what it was trained on: photographs are needed")
        config = configurations.from_dict(checkpoint.config)
        return config.data
    kind = "folder" if photos.is_dir() else "jsonl" if photos.suffix == ".jsonl" else "pool"
    return DataConfig(kind=kind, path=str(photos), crop=SIZE, in_memory=False)


def main() -> None:
    """Parse and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--card", type=Path, help="JSON with what the training card shall say besides the numbers")
    arguments = parser.parse_args()
    card = json.loads(arguments.card.read_text()) if arguments.card else {}
    print(export(arguments.checkpoint, arguments.out, photos=arguments.photos, card=card))


if __name__ == "__main__":
    main()
