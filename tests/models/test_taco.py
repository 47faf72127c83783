"""The published TACO network gives the numbers of its authors' code, and what the codec and training ask of it."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from support.paths import VECTORS
from support.published_taco import published_state
from tacit.models.attention import Injector
from tacit.models.taco import SCALE_UNIT, TacoAnalysis, TacoConfig, TacoModel, TacoSynthesis
from tacit.models.taco_import import load_published
from tacit.text.tokens import TextTokens

PARITY = VECTORS / "taco_parity.safetensors"


AGREEMENT = 1e-4  # of the largest value


TINY = TacoConfig(width=8, latent=12, groups=(4, 8), text_width=16, heads=4)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return published_state()


@pytest.fixture(scope="module")
def model(state: dict[str, Tensor]) -> TacoModel:
    return load_published(state)


@pytest.fixture(scope="module")
def vectors() -> dict[str, Tensor]:
    return load_file(PARITY)


def tokens(text: Tensor) -> TextTokens:
    return TextTokens(text, torch.ones(text.shape[:2], dtype=torch.bool), torch.ones(text.shape[:2]))


@torch.inference_mode()
def computed(model: TacoModel, vectors: dict[str, Tensor]) -> dict[str, Tensor]:
    y = model.analysis(vectors["x"], tokens(vectors["text"]))
    z = model.hyper_latents(y)
    z_hat, z_likelihoods = model.code_hyper(z)
    hyper = model.hyper_features(z_hat)
    y_hat, y_likelihoods = model.code(y, hyper)
    return {
        "y": y,
        "z": z,
        "hyper_params": hyper,
        "y_likelihoods": y_likelihoods,
        "z_likelihoods": z_likelihoods,
        "x_hat": model.synthesis(y_hat),
        "g_s_of_y": model.synthesis(y),
    }


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def names_that_differ(model: TacoModel, vectors: dict[str, Tensor]) -> set[str]:
    found = computed(model, vectors)
    return {name for name, value in found.items() if not difference(value, vectors[name]) < AGREEMENT}


def test_gives_the_published_networks_numbers(model: TacoModel, vectors: dict[str, Tensor]) -> None:
    found = computed(model, vectors)
    assert {name: value.shape for name, value in found.items()} | {
        name: vectors[name].shape for name in ("x", "text")
    } == {name: value.shape for name, value in vectors.items()}
    assert names_that_differ(model, vectors) == set()


def test_forward_is_the_same_pass(model: TacoModel, vectors: dict[str, Tensor]) -> None:
    with torch.inference_mode():
        out = model(vectors["x"], tokens(vectors["text"]))
    assert difference(out.x_hat, vectors["x_hat"]) < AGREEMENT
    for bits, likelihoods in ((out.y_bits, "y_likelihoods"), (out.z_bits, "z_likelihoods")):
        assert bits.shape == (1,)
        assert bits.item() == pytest.approx(-vectors[likelihoods].log2().sum().item(), rel=1e-4)


def test_float_bits_of_published_weights_do_not_depend_on_the_quality(model: TacoModel) -> None:
    x, words = torch.rand(1, 3, 64, 64), tokens(torch.randn(1, 3, 512))
    with torch.inference_mode():
        low, high = (model(x, words, torch.tensor([q])) for q in (0.0, 100.0))
    assert torch.equal(low.y_bits, high.y_bits)
    assert torch.equal(low.x_hat, high.x_hat)


@pytest.mark.parametrize(
    ("entry", "first"),
    [
        ("g_a.analysis_transform.8.gamma", "y"),
        ("g_a.analysis_transform.14.cross_attn.in_proj_weight", "y"),
        ("g_s.synthesis_transform.6.conv_b.3.weight", "g_s_of_y"),
        ("h_a.reduction.4.bias", "z"),
        ("h_s.increase.4.weight", "hyper_params"),
        ("local_context.2.weight", "y_likelihoods"),
        ("channel_context.3.fushion.2.weight", "y_likelihoods"),
        ("entropy_parameters_anchor.4.fusion.0.weight", "y_likelihoods"),
        ("entropy_parameters_nonanchor.0.fusion.4.bias", "y_likelihoods"),
        ("entropy_bottleneck.quantiles", "hyper_params"),
        ("entropy_bottleneck.factors.2", "z_likelihoods"),
    ],
)
def test_every_part_matters_to_the_vectors(
    state: dict[str, Tensor], vectors: dict[str, Tensor], entry: str, first: str
) -> None:
    """One entry turned around, its size and mean kept, and the numbers are others, where they should be."""
    changed = load_published(state | {entry: state[entry].flatten().flip(0).reshape(state[entry].shape)})
    assert first in names_that_differ(changed, vectors)


def extent(gradient: Tensor) -> tuple[int, int, int, int]:
    """First and last row and column where a gradient [1, C, H, W] is not zero."""
    touched = (gradient != 0).any(dim=1)[0]
    rows, columns = touched.any(dim=1).nonzero(), touched.any(dim=0).nonzero()
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


@pytest.mark.parametrize("published", [False, True])
def test_analysis_reaches_as_far_as_it_says(published: bool) -> None:
    """Of one latent, to the pixel. The Extractor sees everything; gamma at zero keeps what it saw out."""
    torch.manual_seed(1)
    analysis = TacoAnalysis(8, 12, 16, 4, published=published).double()
    for layer in analysis.layers:
        if isinstance(layer, Injector):
            assert not layer.gamma.any()
    x = torch.rand(1, 3, 320, 320, dtype=torch.float64, requires_grad=True)
    analysis(x, tokens(torch.randn(1, 2, 16, dtype=torch.float64)))[0, :, 10, 10].sum().backward()
    assert x.grad is not None
    # the cell of the latent is 160..175; it looks out from the cell's first pixel
    assert extent(x.grad) == (160 - analysis.reach, 160 + analysis.reach, 160 - analysis.reach, 160 + analysis.reach)


def test_synthesis_reaches_as_far_as_it_says() -> None:
    """Of the first and last pixel of a cell, to the latent."""
    torch.manual_seed(1)
    synthesis = TacoSynthesis(8, 12).double()
    found = []
    for pixel in (160, 175):
        y = torch.randn(1, 12, 24, 24, dtype=torch.float64, requires_grad=True)
        synthesis(y)[0, :, pixel, pixel].sum().backward()
        assert y.grad is not None
        found.append(extent(y.grad))
    assert max(10 - found[0][0], found[1][1] - 10, 10 - found[0][2], found[1][3] - 10) == synthesis.reach


def test_a_tile_with_its_reach_gives_the_latents_of_the_whole() -> None:
    torch.manual_seed(2)
    model = TacoModel(TINY).double().eval()
    words = tokens(torch.randn(1, 2, 16, dtype=torch.float64))
    x = torch.rand(1, 3, 64, 512, dtype=torch.float64)
    around = -(-model.analysis.reach // 16) * 16
    with torch.inference_mode():
        whole = model.analysis(x, words)
        tile = model.analysis(x[..., 192 - around : 256 + around], words)
        assert torch.allclose(tile[..., around // 16 : -around // 16], whole[..., 12:16], rtol=1e-9, atol=1e-12)
        reach = model.synthesis.reach
        image = model.synthesis(whole)
        part = model.synthesis(whole[..., 12 - reach : 16 + reach])
        assert torch.allclose(part[..., 16 * reach : -16 * reach], image[..., 192:256], rtol=1e-6)


def test_entropy_networks_are_of_layers_that_can_be_frozen(model: TacoModel) -> None:
    leaves = {type(m) for m in model.entropy.modules() if not list(m.children()) and not isinstance(m, nn.ModuleList)}
    assert leaves <= {nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.ReLU}
    for layer in model.entropy.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            assert layer.stride == (2, 2)
        elif isinstance(layer, nn.Conv2d):
            assert layer.stride == (1, 1)


def test_thresholds_choose_the_nearest_scale(model: TacoModel) -> None:
    table, thresholds = model.scale_table(), model.index_thresholds()
    assert table.shape == (64,)
    assert table[[0, -1]].tolist() == pytest.approx([0.11, 256])
    assert (thresholds.diff() > 0).all()
    for sigma in (0.001, 0.11, 0.5, 1.0, 17.3, 256.0, 1000.0):
        nearest = (table.log() - math.log(sigma)).abs().argmin()
        assert torch.bucketize(torch.tensor(sigma * SCALE_UNIT, dtype=torch.float64), thresholds) == nearest


def test_training_reaches_every_parameter() -> None:
    torch.manual_seed(3)
    model = TacoModel(TacoConfig(width=8, latent=12, groups=(4, 8), text_width=16, heads=4, knots=3))
    for layer in model.analysis.layers:
        if isinstance(layer, Injector):
            nn.init.ones_(layer.gamma)  # at zero it would keep gradients from the text
    words = torch.randn(2, 4, 16, requires_grad=True)
    caption = TextTokens(words, torch.tensor([[True, True, False, False], [False] * 4]), torch.ones(2, 4))
    out = model.train()(torch.rand(2, 3, 64, 128), caption, torch.tensor([25.0, 80.0]))
    (out.x_hat.square().mean() + out.y_bits.mean() + out.z_bits.mean()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == ["prior.quantiles"]
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert words.grad is not None
    assert words.grad[0, :2].abs().sum() > 0
    assert not words.grad[0, 2:].any()  # padding
    assert not words.grad[1].any()  # no caption


def test_gains_follow_the_quality() -> None:
    model = TacoModel(TacoConfig(width=8, latent=12, groups=(4, 8), text_width=16, heads=4, knots=2)).eval()
    assert model.gain is not None
    with torch.no_grad():
        model.gain.log_gain[1] = 6.0
        x, words = torch.rand(1, 3, 64, 64).expand(2, -1, -1, -1), TextTokens.empty(2, 16)
        bits = model(x, words, torch.tensor([0.0, 100.0])).y_bits
    assert bits[1] > bits[0]


def test_published_text_layers_attend_to_padding_and_ours_do_not() -> None:
    torch.manual_seed(4)
    x, words = torch.rand(1, 3, 64, 64), torch.randn(1, 3, 16)
    for published in (True, False):
        analysis = TacoAnalysis(8, 12, 16, 4, published=published).eval()
        for layer in analysis.layers:
            if isinstance(layer, Injector):
                nn.init.ones_(layer.gamma)
        mask = torch.tensor([[True, True, False]])
        with torch.inference_mode():
            some = analysis(x, TextTokens(words, mask, torch.ones(1, 3)))
            others = analysis(x, TextTokens(words * torch.tensor([1.0, 1.0, 5.0])[:, None], mask, torch.ones(1, 3)))
        assert torch.equal(some, others) != published


def test_groups_must_add_up() -> None:
    with pytest.raises(ValueError, match="groups must add up"):
        TacoConfig(groups=(16, 16))
