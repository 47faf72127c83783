"""A moving average of the weights: what is validated and exported."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from tacit.models.float_model import FloatModel


class Ema(L.Callback):
    """model: the average, updated after each step; decay grows from 2/11 to `decay`, so that the start is forgotten."""

    def __init__(self, model: FloatModel, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @property
    def state_key(self) -> str:
        """Its name in a checkpoint."""
        return "ema"

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """To the model's device."""
        self.model.to(pl_module.device)

    @torch.no_grad()
    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """One step towards the model."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        own: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(own, list(pl_module.model.parameters()), 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"model": self.model.state_dict(), "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.begin_with(state_dict["model"], state_dict["steps"])

    def begin_with(self, weights: Mapping[str, Tensor], steps: int) -> None:
        """An average that was made elsewhere."""
        self.model.load_state_dict(weights)
        self.steps = steps
