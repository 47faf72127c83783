"""The noise that stands for rounding while training."""

from __future__ import annotations

import pytest
import torch

from support.tiny_models import TINY
from tacit.models.quantization import mixed, uniform
from tacit.models.tacit_s import TacitSModel
from tacit.text.tokens import TextTokens


def test_noise_is_an_images_own() -> None:
    like = torch.zeros(3, 5, 7, 11)
    seeds = torch.tensor([5, 2**61, 7])
    whole = uniform(like, seeds, 2)
    for i in range(3):
        assert torch.equal(uniform(like[i : i + 1], seeds[i : i + 1], 2)[0], whole[i])
    assert not torch.equal(uniform(like, seeds, 3), whole)
    many = uniform(torch.zeros(2, 100_000), torch.tensor([1, 2]), 0)
    assert -0.5 <= many.min() < -0.4999
    assert 0.4999 < many.max() < 0.5
    assert many.mean().abs() < 0.003
    assert abs(float(many.var()) * 12 - 1) < 0.01
    assert torch.corrcoef(many)[0, 1].abs() < 0.01
    assert torch.corrcoef(torch.stack([many[0, 1:], many[0, :-1]]))[0, 1].abs() < 0.01


@pytest.fixture
def model() -> TacitSModel:
    torch.manual_seed(0)
    return TacitSModel(TINY)


def test_bits_of_rounded_latents(model: TacitSModel) -> None:
    noisy, rounded = torch.tensor([0.25, 0.5]), torch.tensor([0.5, 0.125])
    half = mixed(lambda: noisy, lambda: rounded, 0.5)
    assert torch.allclose(-half.log2(), torch.tensor([1.5, 2.0]))
    assert mixed(lambda: noisy, lambda: rounded, 0.0) is noisy
    assert mixed(lambda: noisy, lambda: rounded, 1.0) is rounded
    x, tokens, quality = torch.rand(1, 3, 64, 64), TextTokens.empty(1, TINY.text_width), torch.tensor([50.0])
    first, second = (model(x, tokens, quality, torch.tensor([seed]), 1.0).y_bits for seed in (1, 2))
    assert torch.equal(first, second)  # nothing is drawn
    assert not torch.equal(first, model(x, tokens, quality, torch.tensor([1])).y_bits)
