"""The exponential moving average of the weights, which is validated and exported."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from tacit.models.float_model import FloatModel


class Ema(L.Callback):
    """Keeps a moving average of a model's weights, updated after each step.

    Args:
        model: The model; `Ema.model` begins as its copy.
        decay: The final decay; it grows from 2/11 to this, so that the start is forgotten.
    """

    def __init__(self, model: FloatModel, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @property
    def state_key(self) -> str:
        """The callback's name in a checkpoint."""
        return "ema"

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Move the average to the model's device."""
        self.model.to(pl_module.device)

    @torch.no_grad()
    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the average one step towards the model."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        own: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(own, list(pl_module.model.parameters()), 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Return the average for a checkpoint."""
        return {"model": self.model.state_dict(), "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the average from a checkpoint."""
        self.begin_with(state_dict["model"], state_dict["steps"])

    def begin_with(self, weights: Mapping[str, Tensor], steps: int) -> None:
        """Take over an average that was made elsewhere.

        Args:
            weights: The average.
            steps: How many steps it has made.
        """
        self.model.load_state_dict(weights)
        self.steps = steps
