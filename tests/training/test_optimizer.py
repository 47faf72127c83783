"""Which parameters learn, and at which rate."""

from __future__ import annotations

import pytest
import torch

from support.tiny_models import TINY
from tacit.errors import InvalidInput
from tacit.models.tacit_s import TacitSModel
from tacit.training import config as configurations
from tacit.training.loss import Loss
from tacit.training.module import TrainingModule
from tacit.training.optimizer import fix_parts


@pytest.fixture
def model() -> TacitSModel:
    torch.manual_seed(0)
    return TacitSModel(TINY)


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_gains_have_a_learning_rate_of_their_own(model: TacitSModel, kind: str) -> None:
    config = configurations.read("smoke", [f"optimizer.kind={kind}", "optimizer.gains=6"])
    module = TrainingModule(config, model, Loss(config.loss))
    groups = module.configure_optimizers().param_groups
    named = {id(p): name for name, p in model.named_parameters()}
    (gains,) = [g for g in groups if g.get("times")]
    assert {named[id(p)] for p in gains["params"]} == {"gain.log_gain", "inverse_gain.log_gain"}
    assert gains["times"] == 6
    every = [id(p) for g in groups for p in g["params"]]
    assert len(every) == len(set(every)) == len(named) - 1  # the prior's quantiles do not learn


def test_parts_that_are_fixed_do_not_learn(model: TacitSModel) -> None:
    fix_parts(model, ["analysis", "gain"])
    assert not any(p.requires_grad for p in model.analysis.parameters())
    assert not model.gain.log_gain.requires_grad
    assert all(p.requires_grad for p in model.synthesis.parameters())
    assert model.inverse_gain.log_gain.requires_grad


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (["analysi"], "must name parts of the model, which are analysis"),
        (list(dict(TacitSModel(TINY).named_children())), "must leave parts that learn"),
    ],
)
def test_fixing_what_is_not_there_or_everything(model: TacitSModel, parts: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        fix_parts(model, parts)
