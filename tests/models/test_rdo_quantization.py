"""The entropy model that rounds where it costs least: latents and prices of the exact one, choices, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from support.pictures import synthetic
from tacit import weights
from tacit.codec import Codec
from tacit.entropy.units import Y_UNIT
from tacit.models.coding import CodingModel, Quality
from tacit.models.rdo_quantization import RdoEntropy, gaussian_bits
from tacit.text.tokens import TextTokens

Latents = tuple[Tensor, Tensor]


@pytest.fixture
def model(codec: Codec) -> CodingModel:
    return weights.load(codec.path)


def latents(model: CodingModel, quality: Quality) -> Latents:
    x = torch.from_numpy(synthetic(96, 80)).permute(2, 0, 1)[None].float() / 255
    y, z = model.scaled(model.analyse(x, TextTokens.empty(1, model.config.text_width)), quality)
    return y.clone(), z.clone()


def entropy_of(model: CodingModel) -> RdoEntropy:
    return RdoEntropy(model.entropy, model.float_model.scale_table())


def share_of_others(decoded: Tensor, integers: Tensor) -> float:
    """The share of latents that are not those coded: a mean of the float64 networks may be a unit off in float32."""
    return float(((decoded * Y_UNIT - integers).abs() > 1e-2).float().mean())


@pytest.mark.parametrize("quality", [10.0, 90.0])
def test_with_nearest_integers_it_is_the_exact_one(model: CodingModel, quality: float) -> None:
    y, z = latents(model, quality)
    with torch.no_grad():
        decoded, bits = entropy_of(model)(y, torch.zeros_like(y), z, model.hundredths(quality))
    streams, integers = model.compress_scaled(y, z, quality)
    assert share_of_others(decoded, integers) < 0.05
    assert float(bits) == pytest.approx(8 * len(streams[0].data), rel=0.06, abs=64)


def test_a_map_of_qualities(model: CodingModel) -> None:
    quality = torch.full((1, 5, 6), 30.0)
    quality[:, 4:] = 80.0
    y, z = latents(model, quality)
    with torch.no_grad():
        decoded, _ = entropy_of(model)(y, torch.zeros_like(y), z, model.hundredths(quality))
    assert share_of_others(decoded, model.compress_scaled(y, z, quality)[1]) < 0.05


@pytest.mark.parametrize("curvature", [1.0, 17.3])
def test_what_it_chooses_costs_less_and_is_what_is_coded(model: CodingModel, curvature: float) -> None:
    y, z = latents(model, 60.0)
    entropy = entropy_of(model)
    with torch.no_grad():
        costs = {}
        for chosen in (0.0, curvature):
            decoded, bits = entropy(y, torch.zeros_like(y), z, 6000, chosen)
            costs[chosen] = float(bits) + curvature / 2 * float((decoded - y).square().sum())
    assert costs[curvature] < costs[0.0]
    integers = model.compress_scaled(decoded, z, 60.0)[1]
    assert share_of_others(decoded, integers) < 0.05


def test_bits_and_latents_have_gradients(model: CodingModel) -> None:
    y, z = latents(model, 60.0)
    moved, z = torch.zeros_like(y).requires_grad_(), z.requires_grad_()
    decoded, bits = entropy_of(model)(y, moved, z, 6000, 17.3)
    (decoded.square().sum() + bits.sum()).backward()
    for one in (moved, z):
        assert one.grad is not None
        assert bool(one.grad.isfinite().all())
        assert bool(one.grad.any())


def test_the_gradient_is_that_of_all_but_a_latents_own_bits(model: CodingModel) -> None:
    """Bits of what is coded later, whose networks see the change, against their difference."""
    y, z = latents(model, 90.0)
    entropy = entropy_of(model)
    moved = torch.zeros_like(y).requires_grad_()
    _, bits = entropy(y, moved, z, 9000)
    (gradient,) = torch.autograd.grad(bits.sum(), moved)
    last = model.entropy.groups[-1]
    others = torch.arange(y.shape[2])[:, None] + torch.arange(y.shape[3]) & 1 == 0
    assert not bool(gradient[:, -last:, others].any())
    assert bool(gradient[:, :-last].any())


def test_bits_are_those_of_normal_distributions() -> None:
    bits = gaussian_bits(torch.arange(-4.0, 5.0), torch.tensor(0.8))
    assert float((2**-bits).sum()) == pytest.approx(1, abs=1e-4)


def test_networks_in_float32_are_the_exact_ones() -> None:
    """The shipped weights hold their medians elsewhere than networks in float64 do."""
    model = weights.load(weights.locate(weights.DEFAULT))
    y, z = latents(model, 50.0)
    with torch.no_grad():
        decoded, bits = entropy_of(model)(y, torch.zeros_like(y), z, model.hundredths(50.0))
    streams, integers = model.compress_scaled(y, z, 50.0)
    assert share_of_others(decoded, integers) == 0
    assert float(bits) == pytest.approx(8 * len(streams[0].data), rel=0.02, abs=64)
