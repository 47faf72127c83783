"""From a checkpoint to a weights file: averaged weights, entropy networks frozen to integers and proven, and a card."""

from __future__ import annotations

import dataclasses
import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tacit import weights
from tacit.errors import InvalidInput
from tacit.models.distortion import Distortion
from tacit.training import config as configurations
from tacit.training.checkpoint import Checkpoint, read_checkpoint
from tacit.training.config import Config, DataConfig, LossConfig, RunConfig
from tacit.training.datamodule import TrainingData
from tacit.training.freezing import CROPS, freeze_model
from tacit.yaml_config import plain_values

_TERMS = {field.name for field in dataclasses.fields(Distortion)}
CROP_SIZE = 256  # pixels a side of the crops from which the activations' ranges are taken


def export(checkpoint: Path, out: Path, *, images: Path | None = None, card: Mapping[str, Any] | None = None) -> str:
    """Write the weights file `out`, and return its decode hash.

    Args:
        checkpoint: The training checkpoint.
        out: The weights file.
        images: A pool, a folder or a JSONL list for the activations' ranges; by default the run's own data.
        card: What the training card is to have besides what the checkpoint tells, such as the terms of the data.

    Raises:
        PathError: A file cannot be read or written.
        CorruptWeights: The checkpoint is damaged.
        InvalidInput: There are too few images, or none are given for a checkpoint that does not tell its data.
        NotExact: The weights do not fit into exact integers.
    """
    source = read_checkpoint(checkpoint)
    model = source.averaged_model().eval()
    data = TrainingData(Config(data=_data_config(images, source), run=RunConfig(steps=1)), "", 1)
    frozen = freeze_model(model, data.crops(CROPS))
    return weights.save(out, model, frozen, training_card(source) | dict(card or {}))


def training_card(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what a checkpoint tells of how it was made."""
    card: dict[str, Any] = {"steps": checkpoint.steps, "gigapixels": round(checkpoint.pixels / 1e9, 3)}
    if checkpoint.config is not None:
        data, loss, optimizer = (checkpoint.config[k] for k in ("data", "loss", "optimizer"))
        card["data"] = f"{data['kind']} {data['path']}".strip()
        card["crop"], card["batch"] = data["crop"], data["batch"]
        default = LossConfig()
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in loss.items()}
        card["loss"] = ", ".join(
            f"{k} {v}"
            for k, v in values.items()
            if k in ("mse", "lambda_low", "lambda_high") or v != plain_values(getattr(default, k, None))
        )
        card["distortion"] = Distortion.of({"distortion": {k: v for k, v in values.items() if k in _TERMS}}).as_dict()
        card["optimizer"], card["learning_rate"] = optimizer["kind"], optimizer["learning_rate"]
        card["hours"] = round(checkpoint.seconds / 3600, 2)
    if checkpoint.figures:
        card["figures"] = checkpoint.figures
    card["exported_on"] = f"{platform.machine()}, torch {torch.__version__}"
    card["command"] = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return card


def _data_config(images: Path | None, checkpoint: Checkpoint) -> DataConfig:
    if images is None:
        if checkpoint.config is None:
            raise InvalidInput(f"{checkpoint.path}: images must be given, as the checkpoint does not tell its data")
        return configurations.from_dict(checkpoint.config).data
    kind = "folder" if images.is_dir() else "jsonl" if images.suffix == ".jsonl" else "pool"
    return DataConfig(kind=kind, path=str(images), crop=CROP_SIZE, in_memory=False)
