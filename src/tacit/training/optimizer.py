"""The optimizer of a run: which parameters learn, and at which rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tacit.errors import InvalidInput
from tacit.models.float_model import FloatModel
from tacit.training.config import OptimizerConfig
from tacit.training.muon import Muon, complete_groups, matrices


class Adam(torch.optim.Adam):
    """Torch's Adam, which takes the state of a captured step's optimizer, too."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a state."""
        complete_groups(state, self.defaults)
        super().__setstate__(state)  # type: ignore[no-untyped-call]


def fix_parts(model: FloatModel, parts: Sequence[str]) -> None:
    """Keep parts of a model from learning, given by the beginnings of their parameters' names.

    Raises:
        InvalidInput: The model has no such part, or nothing is left to learn.
    """
    parameters = dict(model.named_parameters())
    for part in parts:
        inside = [name for name in parameters if name == part or name.startswith(f"{part}.")]
        if not inside:
            known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in parameters))
            raise InvalidInput(f"optimizer.fixed must name parts of the model, which are {known}, got {part!r}")
        for name in inside:
            parameters[name].requires_grad_(False)
    if not any(p.requires_grad for p in parameters.values()):
        raise InvalidInput("optimizer.fixed must leave parts that learn, got all of the model")


def build_optimizer(
    model: FloatModel, config: OptimizerConfig, adam_state: Mapping[str, Any], *, capturable: bool = False
) -> tuple[torch.optim.Optimizer, int]:
    """Build the optimizer of a model.

    Args:
        model: The model.
        config: The optimizer's configuration.
        adam_state: Adam's state to go on with, by the parameters' names; empty to begin without.
        capturable: Build an optimizer whose steps can be captured, also for Adam.

    Returns:
        The optimizer, and how many of its first parameter groups are clipped and scheduled. The quantiles, where they
        learn, are a group of their own behind these.
    """
    quantiles = model.prior.quantiles
    orthogonal = matrices(model) if config.kind == "muon" else []
    gains = [p for name, p in model.named_parameters() if name.endswith("log_gain")] if config.gains != 1 else []
    apart = {id(p) for p in (*orthogonal, quantiles, *gains)}
    groups: list[dict[str, Any]] = [{"params": [p for p in model.parameters() if id(p) not in apart]}]
    if orthogonal:
        groups.append({"params": orthogonal, "orthogonal": True})
    if gains:
        groups.append({"params": gains, "times": config.gains})
    scheduled = len(groups)
    if config.quantile_rate:
        groups.append({"params": [quantiles], "lr": config.quantile_rate})
    if orthogonal or capturable:
        return Muon(groups, config.learning_rate, config.betas), scheduled
    optimizer = Adam(groups, lr=config.learning_rate, betas=config.betas, fused=True)
    if adam_state:
        names = {id(p): name for name, p in model.named_parameters()}
        order = [names[id(p)] for group in groups for p in group["params"]]
        state = {i: adam_state[name] for i, name in enumerate(order) if name in adam_state}
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return optimizer, scheduled
