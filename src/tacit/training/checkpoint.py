"""Training checkpoints: those that `tacit train` writes, files of weights alone, and those of the first script."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tacit.architectures import FIRST
from tacit.errors import CorruptWeights, PathError
from tacit.models.building import build
from tacit.models.float_model import FloatModel


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a checkpoint holds."""

    path: Path
    """The checkpoint's file."""

    architecture: str
    """Name of the model's architecture."""

    model_config: Mapping[str, Any]
    """The sizes of the model."""

    model: Mapping[str, Tensor]
    """The weights that are trained."""

    average: Mapping[str, Tensor]
    """Their moving average."""

    adam_state: Mapping[str, Any] | None
    """Adam's state by the parameters' names; None where Lightning restores it."""

    config: Mapping[str, Any] | None
    """The configuration of the run; None in files of the first training script."""

    steps: int
    """Optimizer steps behind the run."""

    pixels: int
    """Pixels that the run has seen."""

    steps_before: int = 0
    """Those of the steps that Lightning does not know of: a run that began with a file of the first script."""

    seconds: float = 0.0
    """Seconds that the run has trained."""

    figures: Sequence[Mapping[str, float]] | None = None
    """The results of the last validation, one mapping for each quality."""

    def averaged_model(self) -> FloatModel:
        """Build the model to validate, export and fine-tune from.

        Raises:
            CorruptWeights: The weights do not fit the model.
        """
        return self._build(self.average)

    def trained_model(self) -> FloatModel:
        """Build the model to go on training with.

        Raises:
            CorruptWeights: The weights do not fit the model.
        """
        return self._build(self.model)

    def _build(self, weights: Mapping[str, Tensor]) -> FloatModel:
        model = build(self.architecture, self.model_config)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise CorruptWeights(f"{self.path}: {str(error).splitlines()[0]}") from error
        return model


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        PathError: The file cannot be read.
        CorruptWeights: The file is no checkpoint, or a damaged one.
    """
    try:
        state: Any = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise PathError(f"{path}: {error.strerror}") from error
    except (RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise CorruptWeights(f"{path}: not a training checkpoint, or a damaged one") from error
    try:
        if "tacit" in state:
            return _from_lightning(path, state)
        return _from_first_script(path, state) if "ema" in state else _from_weights(path, state)
    except (KeyError, TypeError, AttributeError) as error:
        raise CorruptWeights(f"{path}: not a training checkpoint of tacit ({error})") from error


def _from_lightning(path: Path, state: Mapping[str, Any]) -> Checkpoint:
    own = state["tacit"]
    prefix = "model."
    return Checkpoint(
        path=path,
        architecture=own["architecture"],
        model_config=own["model_config"],
        model={k.removeprefix(prefix): v for k, v in state["state_dict"].items() if k.startswith(prefix)},
        average=state["callbacks"]["ema"]["model"],
        adam_state=None,
        config=own["config"],
        steps=own["steps"],
        pixels=own["pixels"],
        steps_before=own["steps_before"],
        seconds=own["seconds"],
        figures=state["callbacks"].get("validation", {}).get("figures"),
    )


def _from_weights(path: Path, state: Mapping[str, Any]) -> Checkpoint:
    """Return weights alone: `model`, and the sizes as `config`."""
    if not state["model"]:
        raise KeyError("model")
    return Checkpoint(
        path=path,
        architecture=state.get("architecture", FIRST.name),
        model_config=state["config"],
        model=state["model"],
        average=state["model"],
        adam_state={},
        config=None,
        steps=0,
        pixels=0,
    )


def _from_first_script(path: Path, state: Mapping[str, Any]) -> Checkpoint:
    model = build(FIRST.name, state["config"])
    names = [name for name, _ in model.named_parameters()]
    adam_state = state.get("optimizer", {}).get("state", {})
    return Checkpoint(
        path=path,
        architecture=FIRST.name,
        model_config=state["config"],
        model=state["model"],
        average=state["ema"],
        adam_state={names[i]: values for i, values in adam_state.items()},
        config=None,
        steps=state["step"],
        pixels=state["pixels"],
    )
