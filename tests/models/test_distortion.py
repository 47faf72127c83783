"""What a model's loss counts as distortion, and the training card that states it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from tacit.errors import CorruptWeights
from tacit.models.distortion import Distortion, rate_weight
from tacit.training.config import LossConfig

TUNED = Distortion(mse=0.42, coarse=(0.2, 0.5, 0.9, 1.8), structure=1200.0, shares=(0.5, 0.7, 0.45))


def test_a_card_keeps_it() -> None:
    card = json.loads(json.dumps({"name": "mine", "distortion": TUNED.as_dict()}))
    assert Distortion.of(card) == TUNED
    assert Distortion.of({}) == Distortion()


@pytest.mark.parametrize("stated", [3, "mse", {"mse": "much"}, {"contrast": 1.0}, {"mse": None}, {"coarse": [None]}])
def test_a_card_that_states_something_else_is_refused(stated: Any) -> None:
    with pytest.raises(CorruptWeights, match="distortion must name weights of terms"):
        Distortion.of({"distortion": stated})


def test_the_default_is_the_mean_squared_error_of_each_place() -> None:
    x, error = torch.rand(1, 3, 32, 48), torch.zeros(1, 3, 32, 48)
    error[:, :, :16, 16:32] = 0.1
    found, terms = Distortion()(x + error, x, torch.tensor([50.0]))
    assert found.shape == (1, 2, 3)
    assert not terms
    assert float(found[0, 0, 1]) == pytest.approx(255**2 * 0.01, rel=1e-4)
    assert float(found.sum()) == pytest.approx(float(found[0, 0, 1]))


def test_a_share_of_it_is_the_plain_error() -> None:
    x = torch.rand(1, 3, 192, 192)
    noisy = x + 0.1 * torch.randn_like(x)
    quality = torch.tensor([25.0])
    whole, terms = Distortion(mse=0.42, structure=1200.0)(noisy, x, quality)
    plain, _ = Distortion()(noisy, x, quality)
    shared, _ = Distortion(mse=0.42, structure=1200.0, shares=(0.5, 0.7, 0.45))(noisy, x, quality)
    assert set(terms) == {"structure"}
    torch.testing.assert_close(shared, 0.6 * whole + 0.4 * plain)


def test_lambda_is_the_loss_of_training() -> None:
    config = LossConfig(lambda_low=0.001, lambda_high=0.1, structure=7.0)
    quality = torch.tensor([0.0, 30.0, 100.0])
    torch.testing.assert_close(config.distortion.weight(quality), rate_weight(quality, 0.001, 0.1))
    assert config.distortion == Distortion(lambda_low=0.001, lambda_high=0.1, structure=7.0)
