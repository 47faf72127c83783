"""What moves the weights: Muon, parts that are fixed, qualities that vary over a crop, bits of rounded latents, and
structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from support.tiny_models import TINY
from tacit.errors import InvalidInput
from tacit.evaluation.metrics.ssim import MsSsim
from tacit.models.float_model import Forward
from tacit.models.layers import GatedBlock, _Glu
from tacit.models.quantization import mixed
from tacit.models.tacit_s import TacitSModel
from tacit.text.tokens import TextTokens
from tacit.training import config as configurations
from tacit.training.config import LossConfig
from tacit.training.loss import Loss, rate_weight, squared_error
from tacit.training.module import TrainingModule
from tacit.training.muon import Muon, matrices, orthogonalize
from tacit.training.optimizer import fix_parts
from tacit.training.quality_maps import random_quality_maps
from tacit.training.ssim_loss import SMALLEST, structural_dissimilarity


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


def test_maps_of_the_quality() -> None:
    quality = torch.tensor([50.0, 50.0, 2.0, 99.0]).repeat(50)
    seeds = torch.arange(200)
    maps = random_quality_maps(quality, seeds, 192, 0.5, 30.0)
    assert maps.shape == (200, 12, 12)
    assert torch.equal(maps, maps[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2))  # of hyper-latents
    assert maps.min() >= 0
    assert maps.max() <= 100
    varied = (maps != quality[:, None, None]).any(dim=2).any(dim=1)
    assert 70 < int(varied.sum()) < 130
    assert 20 < float((maps - quality[:, None, None]).abs().max()) <= 30
    assert torch.equal(
        maps[7], random_quality_maps(quality[7:8], seeds[7:8], 192, 0.5, 30.0)[0]
    )  # its own, whatever the batch
    assert torch.equal(random_quality_maps(quality, seeds, 192, 0.0, 30.0), quality[:, None, None].expand(-1, 12, 12))


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


@pytest.mark.parametrize(
    "override",
    [
        "loss.rounded=1.5",
        "data.quality_maps=-0.1",
        "data.quality_maps=2",
        "optimizer.kind=sgd",
    ],
)
def test_values_that_mean_nothing(override: str) -> None:
    with pytest.raises(InvalidInput, match=override.partition("=")[0].partition(".")[2]):
        configurations.read("tacit-s", [override])


def test_maps_are_for_models_that_take_them() -> None:
    with pytest.raises(InvalidInput, match=r"data.quality_maps must be 0 for taco, got 0\.2"):
        configurations.read("taco-variable", ["data.quality_maps=0.2"])


def alone(t: torch.Tensor) -> torch.Tensor:
    return t


# -- blocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_block_has_the_gradient_of_what_it_computes(layout: torch.memory_format) -> None:
    torch.manual_seed(2)
    block = GatedBlock(6).double()
    for p in block.parameters():
        nn.init.normal_(p, std=0.3)
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(block, x)
    gated = block.gate_in(x)
    layouts: list[tuple[int, ...]] = []
    gated.register_hook(lambda grad: layouts.append(grad.stride()))
    _Glu.apply(gated).sum().backward()
    assert layouts == [gated.stride()]


# -- coarse errors ----------------------------------------------------------------------------------------------------


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
        alone = squared_error(noise, [float(i == scale) for i in range(5)])
        assert float(alone.mean()) == pytest.approx(4.0**-scale, rel=0.1)


# -- structure --------------------------------------------------------------------------------------------------------


def photos(size: int, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of two, and the same with noise, as 8-bit values over 255."""
    torch.manual_seed(3)
    x = nn.functional.interpolate(torch.rand(2, 3, size // 8, size // 8), scale_factor=8, mode="bilinear")
    return (x * 255).round() / 255, ((x + noise * torch.randn_like(x)).clamp(0, 1) * 255).round() / 255


@pytest.mark.parametrize("noise", [0.01, 0.04])
def test_structure_is_what_ms_ssim_lacks_to_first_order(noise: float) -> None:
    x, y = photos(256, noise)
    lacking = structural_dissimilarity(y, x).mean(dim=(1, 2))
    for i in range(2):
        a, b = ((t[i].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8) for t in (x, y))
        assert float(lacking[i]) == pytest.approx(1 - MsSsim()(a, b), rel=0.05)
    assert float(structural_dissimilarity(x, x).abs().max()) < 1e-5


@pytest.mark.parametrize("size", [192, 256])
def test_structure_is_where_the_difference_is_and_has_a_gradient(size: int) -> None:
    x, noisy = photos(size, 0.05)
    y = torch.where(torch.arange(size) < size // 2, noisy, x).requires_grad_()
    unlike = structural_dissimilarity(y, x)
    assert unlike.shape == (2, size // 8, size // 8)
    assert unlike[:, :, : size // 32].mean() > 20 * unlike[:, :, -size // 32 :].mean()
    unlike.mean().backward()
    assert y.grad is not None
    assert bool(y.grad.isfinite().all())
    with torch.no_grad():  # downhill it is less
        assert (
            structural_dissimilarity(y - 0.3 * y.grad * y.numel() ** 0.5 / y.grad.norm() * 0.05, x).mean()
            < unlike.mean()
        )


def test_structure_weighs_by_the_quality_of_its_place() -> None:
    x, noisy = photos(256, 0.05)
    left = torch.arange(256) < 128
    config = LossConfig(rate=0, mse=0, structure=1000, balance=0)

    def at(quality: torch.Tensor, left_noisy: bool) -> float:
        y = torch.where(left == left_noisy, noisy, x)
        out = Forward(y, torch.zeros(2), torch.zeros(2))
        return float(Loss(config)(out, x, quality, [None, None], alone).loss)

    flat = torch.tensor([50.0, 50.0])
    unlike = float(structural_dissimilarity(torch.where(left, noisy, x), x).mean())
    assert at(flat, True) == pytest.approx(1000 * float(rate_weight(flat)[0]) * unlike, rel=1e-4)
    assert at(flat[:, None, None].expand(2, 16, 16), True) == pytest.approx(at(flat, True), rel=1e-4)
    varied = torch.where(torch.arange(16) < 8, 80.0, 20.0).expand(2, 16, 16)
    assert at(varied, True) > 5 * at(varied, False)


def test_the_plain_mse_has_what_the_shares_leave() -> None:
    x, noisy = photos(192, 0.05)
    seen = {"mse": 0.5, "coarse": (1.0, 0.0, 0.0, 2.0), "structure": 700}

    def at(quality: torch.Tensor, **weights: Any) -> float:
        config = LossConfig(rate=0, balance=0, lambda_low=0.01, lambda_high=0.01, **weights)
        return float(Loss(config)(Forward(noisy, torch.zeros(2), torch.zeros(2)), x, quality, [None] * 2, alone).loss)

    for quality, share in ((0, 0.5), (25, 0.7), (50, 0.9), (60, 0.8), (100, 0.4)):
        flat = torch.full((2,), float(quality))
        wanted = share * at(flat, **seen) + (1 - share) * at(flat)
        assert at(flat, **seen, shares=(0.5, 0.9, 0.4)) == pytest.approx(wanted, rel=1e-5)
        place = flat[:, None, None].expand(2, 12, 12)
        assert at(place, **seen, shares=(0.5, 0.9, 0.4)) == pytest.approx(wanted, rel=1e-5)
    assert at(flat, **seen) != pytest.approx(at(flat), rel=0.1)


def test_structure_needs_crops_of_five_scales() -> None:
    assert SMALLEST == 161
    with pytest.raises(InvalidInput, match="192"):
        configurations.read("smoke", ["loss.structure=1", "data.crop=128"])
