"""How far the networks see, and how a caption's words reach them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from support.pictures import samples
from support.tiny_models import TINY, TINY_TACO, deaf, tiny_model, tiny_taco
from support.walks import coding_of
from tacit.codec import Codec
from tacit.entropy.units import LATENT_STEP
from tacit.models.tacit_s import TacitSModel
from tacit.models.taco import TacoModel
from tacit.text.tokens import TextTokens


def extent(gradient: torch.Tensor) -> tuple[int, int, int, int]:
    """First row and column, last row and column where it is not zero; [1, C, H, W]."""
    places = gradient[0].ne(0).any(dim=0).nonzero()
    return (*places.amin(dim=0).tolist(), *places.amax(dim=0).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_model, tiny_taco])
def test_tiles_reach_as_far_as_the_networks_see(make: Callable[[], TacitSModel | TacoModel]) -> None:
    """By the gradient of the middle cell of 16x16 pixels: no further than is said, and nearly as far."""
    model = deaf(make()).double()
    size = 32 * LATENT_STEP
    middle = 16 * LATENT_STEP
    x = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    words = TextTokens(torch.randn(1, 2, 256).double(), torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 2).double())
    model.analysis(x, words)[:, :, 16, 16].square().sum().backward()
    assert x.grad is not None
    top, left, bottom, right = extent(x.grad)
    seen = max(middle - top, middle - left, bottom - middle - 15, right - middle - 15)
    assert seen <= model.analysis.reach < seen + LATENT_STEP

    y = torch.randn(1, model.config.latent, 32, 32, dtype=torch.float64, requires_grad=True)
    cell = slice(middle, middle + LATENT_STEP)
    model.synthesis(y, torch.tensor([50.0]).double())[:, :, cell, cell].square().sum().backward()
    assert y.grad is not None
    top, left, bottom, right = extent(y.grad)
    assert max(16 - top, 16 - left, bottom - 16, right - 16) == model.synthesis.reach


@pytest.mark.parametrize("which", ["codec", "taco_codec"])
def test_padding_changes_nothing(request: pytest.FixtureRequest, which: str) -> None:
    codec: Codec = request.getfixturevalue(which)
    model = coding_of(codec)
    x = samples(64, 1)
    words = torch.randn(1, 5, 256, generator=torch.Generator().manual_seed(0))
    plain = TextTokens(words, torch.ones(1, 5, dtype=torch.bool), torch.ones(1, 5))
    rubbish = torch.cat([words, torch.full((1, 3, 256), 1e4)], dim=1)
    mask = torch.arange(8)[None] < 5
    padded = TextTokens(rubbish, mask, torch.cat([torch.ones(1, 5), torch.full((1, 3), 1.5)], dim=1))
    torch.testing.assert_close(model.analyse(x, padded), model.analyse(x, plain), atol=1e-5, rtol=1e-5)
    seen = TextTokens(rubbish, torch.ones(1, 8, dtype=torch.bool), torch.ones(1, 8))
    assert (model.analyse(x, seen) - model.analyse(x, plain)).abs().max() > 1e-3
    weighted = TextTokens(words, plain.mask, torch.tensor([[1.5, 1, 1, 1, 1]]))
    assert not torch.allclose(model.analyse(x, weighted), model.analyse(x, plain), atol=1e-6)


def text_parameters(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters of injectors and extractors, and the null token, by name."""
    found = {n: p for n, p in model.named_parameters() if n.endswith("null_token")}
    for prefix, module in model.named_modules():
        if type(module).__name__ in ("Injector", "Extractor"):
            found |= {f"{prefix}.{n}": p for n, p in module.named_parameters()}
    return found


@pytest.mark.parametrize("make", [tiny_model, tiny_taco])
def test_gradients_reach_the_text_path(make: Callable[[], TacitSModel | TacoModel]) -> None:
    model = make().train()
    x = samples(64, 2)
    words = torch.randn(2, 3, 256, generator=torch.Generator().manual_seed(0), requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    out = model(x, TextTokens(words, mask, torch.ones(2, 3)), torch.tensor([30.0, 70.0]))
    (out.y_bits.sum() + out.z_bits.sum() + 100 * (out.x_hat - x).square().sum()).backward()
    parameters = text_parameters(model)
    assert len(parameters) > 25
    without = [name for name, p in parameters.items() if p.grad is None or not p.grad.any()]
    assert without == []
    assert words.grad is not None
    assert words.grad[mask].abs().sum(dim=1).gt(0).all()
    assert not words.grad[~mask].any()


@pytest.mark.parametrize(("kind", "config"), [(TacitSModel, TINY), (TacoModel, TINY_TACO)], ids=["tacit-s", "taco"])
def test_a_new_model_can_learn_to_read(kind: Any, config: Any) -> None:
    """Gamma starts at zero, and is the first to move."""
    torch.manual_seed(0)
    model = kind(config).train()
    out = model(samples(64, 1), TextTokens.empty(1, 256), torch.tensor([50.0]))
    (out.y_bits.sum() + out.x_hat.square().sum()).backward()
    gammas = {n: p for n, p in text_parameters(model).items() if n.endswith("gamma")}
    assert len(gammas) == 2
    assert all(p.grad is not None and p.grad.any() and not p.any() for p in gammas.values())
