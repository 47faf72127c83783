"""Training checkpoints: what `tacit train` writes, and the plain files of the first days."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tacit.architectures import FIRST
from tacit.errors import CorruptWeights, PathError
from tacit.models.building import build
from tacit.models.float_model import FloatModel


@dataclass(frozen=True)
class Checkpoint:
    """model, average: weights as they are trained, and their moving average; adam: the optimizer's state by the
    parameters' names, None where Lightning restores it; config: of the run, None in files of the first days;
    steps_before: of its steps, those that Lightning does not know of; seconds: of training; figures: of the last
    validation."""

    path: Path
    architecture: str
    model_config: Mapping[str, Any]
    model: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    adam: Mapping[str, Any] | None
    config: Mapping[str, Any] | None
    steps: int
    pixels: int
    steps_before: int = 0
    seconds: float = 0.0
    figures: Mapping[str, Any] | None = None

    def averaged(self) -> FloatModel:
        """The model to validate, export and fine-tune from."""
        return self._built(self.average)

    def trained(self) -> FloatModel:
        """The model to go on training with."""
        return self._built(self.model)

    def _built(self, weights: Mapping[str, Tensor]) -> FloatModel:
        model = build(self.architecture, self.model_config)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise CorruptWeights(f"{self.path}: {str(error).splitlines()[0]}") from error
        return model


def read_checkpoint(path: Path) -> Checkpoint:
    """Raises: PathError; CorruptWeights, for a file that is no checkpoint."""
    try:
        state: Any = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    except (RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise CorruptWeights(f"{path}: no training checkpoint, or a damaged one") from error
    try:
        return _of_lightning(path, state) if "tacit" in state else _of_the_first_days(path, state)
    except (KeyError, TypeError, AttributeError) as error:
        raise CorruptWeights(f"{path}: no training checkpoint of tacit ({error})") from error


def _of_lightning(path: Path, state: Mapping[str, Any]) -> Checkpoint:
    about = state["tacit"]
    prefix = "model."
    return Checkpoint(
        path,
        about["architecture"],
        about["model_config"],
        {k.removeprefix(prefix): v for k, v in state["state_dict"].items() if k.startswith(prefix)},
        state["callbacks"]["ema"]["model"],
        None,
        about["config"],
        about["steps"],
        about["pixels"],
        about["steps_before"],
        about["seconds"],
        state["callbacks"].get("validation", {}).get("figures"),
    )


def _of_the_first_days(path: Path, state: Mapping[str, Any]) -> Checkpoint:
    model = build(FIRST.name, state["config"])
    names = [name for name, _ in model.named_parameters()]
    stored = state.get("optimizer", {}).get("state", {})
    adam = {names[i]: values for i, values in stored.items()}
    return Checkpoint(
        path,
        FIRST.name,
        state["config"],
        state["model"],
        state["ema"],
        adam,
        None,
        state["step"],
        state["pixels"],
    )
