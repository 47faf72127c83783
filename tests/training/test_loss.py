"""The loss: each of its terms has its weight, at the place and scale where it belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from support.tiny_models import TINY
from support.training import (
    gather_alone,
    noisy_images,
)
from tacit.models.distortion import DISTORTIONS, rate_weight, squared_error
from tacit.models.float_model import Forward
from tacit.models.prior import FactorizedPrior
from tacit.models.ssim_loss import structural_dissimilarity
from tacit.models.tacit_s import TacitSModel
from tacit.text.tokens import TextTokens
from tacit.training.clip_loss import ClipLoss
from tacit.training.config import LossConfig
from tacit.training.loss import Loss, quantile_loss


def test_every_term_has_its_weight(whole_clip_folder: Path) -> None:
    torch.manual_seed(0)
    x, quality = torch.rand(2, 3, 64, 64), torch.tensor([0.0, 100.0])
    out = Forward(x + 0.1, torch.tensor([4096.0, 8192.0]), torch.tensor([0.0, 4096.0]))
    captions = ["a boat", "a road"]
    joint = ClipLoss(str(whole_clip_folder))

    def distance(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([2.0, 4.0])

    def at(**weights: Any) -> float:
        config = LossConfig(lambda_low=0.001, lambda_high=0.1, **weights)
        made = Loss(config, distance if config.perceptual else None, joint if config.joint else None)
        return float(made(out, x, quality, captions, gather_alone).loss)

    plain = {"balance": 0.0, "rate": 0.0, "mse": 0.0}
    assert at(**{**plain, "rate": 1.0}) == pytest.approx((1 + 3) / 2)
    assert at(**{**plain, "mse": 1.0}) == pytest.approx(255**2 * 0.01 * (0.001 + 0.1) / 2, rel=1e-4)
    assert at(**{**plain, "perceptual": 3.5}) == pytest.approx(3.5 * 3)
    assert at(**{**plain, "perceptual": 3.5, "perceptual_growth": 1.0}) == pytest.approx(3.5 * (2 / 10 + 4 * 10) / 2)
    assert at(**{**plain, "joint": 0.5}) == pytest.approx(
        0.5 * float(joint(out.x_hat, x, captions, gather_alone)), rel=1e-5
    )
    # lambda is a tenth and ten times that of the middle
    assert at(**{**plain, "rate": 1.0, "balance": 0.4}) == pytest.approx((10**0.4 + 3 * 10**-0.4) / 2, rel=1e-5)
    assert at(**plain) == 0


def test_the_quantiles_find_their_places() -> None:
    torch.manual_seed(0)
    prior = FactorizedPrior(4)
    optimizer = torch.optim.Adam([prior.quantiles])
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 300)
        optimizer.zero_grad()
        quantile_loss(prior).backward()
        optimizer.step()
    assert all(p.grad is None for n, p in prior.named_parameters() if n != "quantiles")
    below, middle, above = torch.sigmoid(prior.logits(prior.quantiles))[:, 0].unbind(1)
    assert torch.allclose(middle, torch.tensor(0.5), atol=0.01)
    assert (below < 0.02).all()
    assert (above > 0.98).all()


@pytest.fixture
def model() -> TacitSModel:
    torch.manual_seed(0)
    return TacitSModel(TINY)


def test_a_constant_map_is_the_quality_itself(model: TacitSModel) -> None:
    torch.manual_seed(3)
    for table in (model.gain.log_gain, model.inverse_gain.log_gain, model.synthesis.affine8.scale):
        nn.init.normal_(table, std=0.1)
    x, seeds = torch.rand(2, 3, 128, 128), torch.tensor([1, 2])
    tokens = TextTokens.empty(2, TINY.text_width)
    quality = torch.tensor([20.0, 70.0])
    plain = model(x, tokens, quality, seeds)
    mapped = model(x, tokens, quality[:, None, None].expand(-1, 8, 8), seeds)
    assert torch.allclose(plain.x_hat, mapped.x_hat, atol=1e-5)
    assert torch.allclose(plain.y_bits, mapped.y_bits, rtol=1e-5)
    config = LossConfig(balance=0.4)
    loss = Loss(config)(plain, x, quality, [None, None], lambda t: t).loss
    other = Loss(config)(mapped, x, quality[:, None, None].expand(-1, 8, 8), [None, None], lambda t: t).loss
    assert torch.allclose(loss, other, rtol=1e-5)


def test_errors_weigh_by_the_quality_of_their_place() -> None:
    x = torch.zeros(1, 3, 32, 32)
    x_hat = x.clone()
    x_hat[..., :16, :16] = 0.1
    out = Forward(x_hat, torch.zeros(1), torch.zeros(1))
    quality = torch.tensor([[[100.0, 0.0], [0.0, 0.0]]])
    loss = Loss(LossConfig(balance=0.0))(out, x, quality, [None], lambda t: t).loss
    assert float(loss) == pytest.approx(255**2 * 0.01 / 4 * float(rate_weight(torch.tensor(100.0))), rel=1e-4)


def test_errors_count_at_the_scales_and_places_where_they_are() -> None:
    x = torch.zeros(1, 3, 64, 128)
    x[..., :64] = 0.1  # of all frequencies the lowest
    x[..., 64:] = 0.1 * (-1.0) ** torch.arange(64)  # and the highest
    found = squared_error(x, (2.0, 0.0, 3.0, 0.0, 5.0))
    assert found.shape == (1, 4, 8)
    torch.testing.assert_close(found[..., :4], torch.full((1, 4, 4), 0.1**2 * (2 + 3 + 5)))
    torch.testing.assert_close(found[..., 4:], torch.full((1, 4, 4), 0.1**2 * 2))
    torch.manual_seed(1)
    noise = torch.randn(2, 3, 512, 512)  # a mean over n pixels has an n-th of its power
    for scale in range(5):
        gather_alone = squared_error(noise, [float(i == scale) for i in range(5)])
        assert float(gather_alone.mean()) == pytest.approx(4.0**-scale, rel=0.1)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_distortions_are_maps_that_are_off_by_default(name: str) -> None:
    x, noisy = noisy_images(192, 0.05)
    unlike = DISTORTIONS[name](noisy, x)
    assert unlike.shape == (2, 12, 12)
    assert bool((unlike > 0).all())
    assert float(DISTORTIONS[name](x, x).abs().max()) < 1e-5
    assert getattr(LossConfig(), name) == 0


def test_structure_weighs_by_the_quality_of_its_place() -> None:
    x, noisy = noisy_images(256, 0.05)
    left = torch.arange(256) < 128
    config = LossConfig(rate=0, mse=0, structure=1000, balance=0)

    def at(quality: torch.Tensor, left_noisy: bool) -> float:
        y = torch.where(left == left_noisy, noisy, x)
        out = Forward(y, torch.zeros(2), torch.zeros(2))
        return float(Loss(config)(out, x, quality, [None, None], gather_alone).loss)

    flat = torch.tensor([50.0, 50.0])
    unlike = float(structural_dissimilarity(torch.where(left, noisy, x), x).mean())
    assert at(flat, True) == pytest.approx(1000 * float(rate_weight(flat)[0]) * unlike, rel=1e-4)
    assert at(flat[:, None, None].expand(2, 16, 16), True) == pytest.approx(at(flat, True), rel=1e-4)
    varied = torch.where(torch.arange(16) < 8, 80.0, 20.0).expand(2, 16, 16)
    assert at(varied, True) > 5 * at(varied, False)


def test_the_plain_mse_has_what_the_shares_leave() -> None:
    x, noisy = noisy_images(192, 0.05)
    seen = {"mse": 0.5, "coarse": (1.0, 0.0, 0.0, 2.0), "structure": 700}

    def at(quality: torch.Tensor, **weights: Any) -> float:
        config = LossConfig(rate=0, balance=0, lambda_low=0.01, lambda_high=0.01, **weights)
        return float(
            Loss(config)(Forward(noisy, torch.zeros(2), torch.zeros(2)), x, quality, [None] * 2, gather_alone).loss
        )

    for quality, share in ((0, 0.5), (25, 0.7), (50, 0.9), (60, 0.8), (100, 0.4)):
        flat = torch.full((2,), float(quality))
        wanted = share * at(flat, **seen) + (1 - share) * at(flat)
        assert at(flat, **seen, shares=(0.5, 0.9, 0.4)) == pytest.approx(wanted, rel=1e-5)
        place = flat[:, None, None].expand(2, 12, 12)
        assert at(place, **seen, shares=(0.5, 0.9, 0.4)) == pytest.approx(wanted, rel=1e-5)
    assert at(flat, **seen) != pytest.approx(at(flat), rel=0.1)
