"""Float models from whatever file holds one, and thawing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from support.pictures import samples
from support.tiny_models import TINY, tiny_model, tiny_taco, write_weights
from tacit.errors import CorruptWeights, InvalidInput
from tacit.text.tokens import TextTokens
from tacit.training import thawing
from tacit.training.checkpoint import read_checkpoint
from tacit.training.config import Config
from tacit.training.run import fine_tune
from tacit.training.starting_weights import load_float_model, with_options


@pytest.fixture
def quick_prior_fit() -> None:
    """Do nothing: the prior is fitted as for users."""


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_model, tiny_taco], ids=["tacit-s", "taco"])
def test_weights_files_become_floats_again(
    make: Callable[[], Any], tmp_path: Path, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    path = write_weights(tmp_path / "mine.safetensors", model)
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    thawed = load_float_model("mine").eval()
    x, words = samples(), TextTokens.empty(3, TINY.text_width)
    quality, seeds = torch.tensor([0.0, 50.0, 100.0]), torch.arange(3)
    with torch.no_grad():
        before, after = (m(x, words, quality, seeds) for m in (model, thawed))
    assert torch.allclose(before.y_bits, after.y_bits, rtol=0.003)
    assert torch.allclose(before.z_bits, after.z_bits, rtol=0.01)
    assert (before.x_hat - after.x_hat).abs().mean() < 0.001
    # the units that were chosen suit an optimizer
    for name, parameter in thawed.entropy.named_parameters():
        assert parameter.isfinite().all()
        if name.endswith("weight") and "parameters" not in name:
            assert 0.01 < float(parameter.detach().flatten(1).norm(dim=1).mean()) < 10, name
    monkeypatch.setattr(thawing, "FIT_STEPS", 40)  # once is enough
    last = fine_tune(make_config("run.steps=1"), path)
    assert read_checkpoint(last).architecture == ("tacit-s" if make is tiny_model else "taco")


def test_what_is_no_published_checkpoint_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {"layer.weight": torch.zeros(2)}}, tmp_path / "other.pth.tar")
    with pytest.raises(CorruptWeights, match=r"other\.pth\.tar: not the published TACO network"):
        load_float_model(tmp_path / "other.pth.tar")


def test_new_blocks_change_nothing_at_first() -> None:
    model = tiny_model().eval()  # with 2 and 1 blocks in the analysis, 1 and 2 in the synthesis
    more = {"analysis8": 5, "analysis16": 4, "synthesis16": 3, "synthesis8": 3}
    grown = with_options(model, more).eval()
    assert grown.config.as_dict() == model.config.as_dict() | more
    x = samples()
    words = TextTokens(torch.randn(3, 4, TINY.text_width), torch.ones(3, 4, dtype=torch.bool), torch.ones(3, 4))
    quality, seeds = torch.tensor([0.0, 50.0, 100.0]), torch.arange(3)
    with torch.no_grad():
        before, after = (m(x, words, quality, seeds) for m in (model, grown))
    assert torch.equal(before.y_bits, after.y_bits)
    assert torch.equal(before.x_hat, after.x_hat)
    assert len(grown.state_dict()) == len(model.state_dict()) + 10 * (3 + 3 + 2 + 1)
    assert with_options(model, {"analysis8": 2, "latent": 64}) is model
    with pytest.raises(InvalidInput, match="synthesis8 must be 2 or more, as many as the weights have, got 1"):
        with_options(model, {"synthesis8": 1})
