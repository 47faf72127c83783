"""The entropy model with relaxed rounding: prices and latents of the exact one where it is cold, and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from support.pictures import synthetic
from tacit import weights
from tacit.codec import Codec
from tacit.entropy.units import Y_UNIT
from tacit.models.coding import CodingModel, Quality
from tacit.models.relaxed import RelaxedEntropy, gaussian_bits, relaxed_round
from tacit.text.tokens import TextTokens

Latents = tuple[Tensor, Tensor]


@pytest.fixture
def model(codec: Codec) -> CodingModel:
    return weights.load(codec.path)


def latents(model: CodingModel, quality: Quality) -> Latents:
    x = torch.from_numpy(synthetic(96, 80)).permute(2, 0, 1)[None].float() / 255
    y, z = model.scaled(model.analyse(x, TextTokens.empty(1, model.config.text_width)), quality)
    return y.clone(), z.clone()


def share_of_others(decoded: Tensor, integers: Tensor) -> float:
    """The share of latents that are not those coded: a mean of the float64 networks may be a unit off in float32."""
    return float(((decoded * Y_UNIT - integers).abs() > 1e-2).float().mean())


@pytest.mark.parametrize("quality", [10.0, 90.0])
def test_without_temperature_it_is_the_exact_one(model: CodingModel, quality: float) -> None:
    y, z = latents(model, quality)
    relaxed = RelaxedEntropy(model.entropy, model.float_model.scale_table())
    with torch.no_grad():
        decoded, bits = relaxed(y, z, model.hundredths(quality), 0.0)
    streams, integers = model.compress_scaled(y, z, quality)
    assert share_of_others(decoded, integers) < 0.05
    assert float(bits) == pytest.approx(8 * len(streams[0]), rel=0.06, abs=64)


def test_a_map_of_qualities(model: CodingModel) -> None:
    quality = torch.full((1, 5, 6), 30.0)
    quality[:, 4:] = 80.0
    y, z = latents(model, quality)
    relaxed = RelaxedEntropy(model.entropy, model.float_model.scale_table())
    with torch.no_grad():
        decoded, _ = relaxed(y, z, model.hundredths(quality), 0.0)
    assert share_of_others(decoded, model.compress_scaled(y, z, quality)[1]) < 0.05


def test_bits_and_latents_have_gradients(model: CodingModel) -> None:
    y, z = (one.requires_grad_() for one in latents(model, 60.0))
    relaxed = RelaxedEntropy(model.entropy, model.float_model.scale_table())
    decoded, bits = relaxed(y, z, 6000, 0.5)
    (decoded.square().sum() + bits.sum()).backward()
    for one in (y, z):
        assert one.grad is not None
        assert bool(one.grad.isfinite().all())
        assert bool(one.grad.any())


def test_rounding_hardens_as_the_temperature_falls() -> None:
    x = torch.tensor([-1.8, -0.4, 0.0, 0.3, 0.7, 5.0])
    far = [float((relaxed_round(x, t) - x.round()).abs().max()) for t in (0.5, 0.3, 0.1, 0.0)]
    assert far == sorted(far, reverse=True)
    assert far[-1] == 0


def test_half_of_the_draws_between_two_integers_take_each() -> None:
    noise = torch.rand(10_000, generator=torch.Generator().manual_seed(0)).logit()
    taken = relaxed_round(torch.full((10_000,), 2.5), 0.1, noise)
    assert float(taken.mean()) == pytest.approx(2.5, abs=0.02)
    assert float((taken - taken.round()).abs().mean()) < 0.05


def test_prices_are_linear_between_integers() -> None:
    scale = torch.tensor(0.8)
    ends = [float(gaussian_bits(torch.tensor(s), scale)) for s in (1.0, 2.0)]
    assert float(gaussian_bits(torch.tensor(1.25), scale)) == pytest.approx(0.75 * ends[0] + 0.25 * ends[1])
