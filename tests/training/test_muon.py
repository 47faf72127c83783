"""Muon for matrices, Adam for the rest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from support.tiny_models import TINY
from tacit.models.tacit_s import TacitSModel
from tacit.training import muon
from tacit.training.muon import Muon, matrices, orthogonalize


@pytest.fixture
def model() -> TacitSModel:
    torch.manual_seed(0)
    return TacitSModel(TINY)


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (32, 32)])
def test_a_matrix_becomes_orthogonal(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(shape) * 1e-3))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_matrix_becomes_orthogonal_in_bf16_too(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    matrix = torch.randn(24, 40)
    turned = {}
    for fast in (False, True):
        monkeypatch.setattr(muon, "has_fast_bf16", lambda device, fast=fast: fast)
        turned[fast] = orthogonalize(matrix)
        assert turned[fast].dtype == torch.float32
    assert 0 < (turned[True] - turned[False]).norm() < 0.1 * turned[False].norm()


@pytest.mark.slow
def test_muon_takes_the_matrices_and_adam_the_rest(model: TacitSModel) -> None:
    turned = matrices(model)
    named = {id(p): name for name, p in model.named_parameters()}
    names = {named[id(p)] for p in turned}
    assert "analysis.project.weight" in names
    assert "entropy.parameters_anchor.0.0.weight" in names
    assert not [n for n in names if "depthwise" in n or n.endswith("bias") or "gain" in n]
    rest = [p for p in model.parameters() if id(p) not in {id(t) for t in turned}]

    adam = torch.optim.Adam([p.detach().clone().requires_grad_() for p in rest], lr=1e-3, betas=(0.9, 0.99))
    optimizer = Muon([{"params": rest}, {"params": turned, "orthogonal": True}], 1e-3)
    before = [p.detach().clone() for p in turned]
    torch.manual_seed(2)
    for _ in range(3):
        for p in model.parameters():
            p.grad = torch.randn_like(p)
        for q, p in zip(adam.param_groups[0]["params"], rest, strict=True):
            q.grad = p.grad
        optimizer.step()
        adam.step()
    for q, p in zip(adam.param_groups[0]["params"], rest, strict=True):
        assert torch.allclose(p, q, rtol=1e-5, atol=1e-7)
    for old, new in zip(before, turned, strict=True):  # each step as large as Adam's: 0.2 of the learning rate
        moved = float((new.detach() - old).square().mean().sqrt())
        assert 0.05e-3 < moved < 3 * 0.3e-3


def test_muon_follows_the_gradient_downhill() -> None:
    torch.manual_seed(0)
    target = torch.randn(20, 30)
    layer = nn.Linear(30, 20, bias=False)
    optimizer = Muon([{"params": [layer.weight], "orthogonal": True}], 0.05)
    losses = []
    for _ in range(90):
        loss = (layer.weight - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_matrices_of_one_shape_turn_together_as_they_do_alone() -> None:
    torch.manual_seed(0)
    several = torch.randn(3, 20, 30)
    for one, together in zip(several, orthogonalize(several), strict=True):
        alone = orthogonalize(one)
        assert (alone - together).norm() < 0.02 * alone.norm()


def test_a_step_that_is_not_applied_changes_nothing() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(30, 20)
    optimizer = Muon([{"params": [layer.bias]}, {"params": [layer.weight], "orthogonal": True}], 0.05)
    optimizer.prepare(torch.device("cpu"))
    before = [p.detach().clone() for p in layer.parameters()]
    for applied, changes in ((0.0, False), (1.0, True)):
        optimizer.applied = torch.tensor(applied)
        for p in layer.parameters():
            p.grad = torch.randn_like(p)
        optimizer.step()
        assert all(torch.equal(p, old) != changes for p, old in zip(layer.parameters(), before, strict=True))
        assert float(optimizer.state[layer.bias]["step"]) == applied


def test_the_state_of_torch_adam_fits() -> None:
    layer = nn.Linear(3, 2)
    adam = torch.optim.Adam(layer.parameters(), lr=0.01)
    layer(torch.ones(1, 3)).sum().backward()
    adam.step()
    optimizer = Muon([{"params": list(layer.parameters())}], 0.5)
    optimizer.load_state_dict(adam.state_dict())
    twin = [p.detach().clone() for p in layer.parameters()]
    optimizer.step()
    moved = [p.detach() - old for p, old in zip(layer.parameters(), twin, strict=True)]
    for p, old in zip(layer.parameters(), twin, strict=True):
        p.data.copy_(old)
    adam.step()
    for p, old, move in zip(layer.parameters(), twin, moved, strict=True):
        assert torch.allclose(p - old, move, rtol=1e-4, atol=1e-7)
