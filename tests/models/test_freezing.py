"""The entropy model of a float model is frozen once, the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tacit.exact.freezing
import tacit.models.freezing
from support.pictures import samples
from support.tiny_models import TINY, tiny_model, tiny_taco, write_weights
from support.walks import entropy_of
from tacit import weights
from tacit.codec import Codec
from tacit.errors import NotExact
from tacit.models.freezing import freeze_entropy
from tacit.text.tokens import TextTokens


def test_one_network_that_breaks_the_bound_stops_the_freezing_of_a_model() -> None:
    model = tiny_model()
    with torch.no_grad():
        # a unit so small that the proof must take latents of 2^15 steps' sixteenths for a number of 2^45
        context: Any = model.entropy.local_context
        context[1][0].weight.mul_(1e12)
        model.context_scale[8:].fill_(1e12)
        x = samples(64, 1)
        y = model.analysis(x, TextTokens.empty(1, TINY.text_width)).float()
        with pytest.raises(NotExact):
            freeze_entropy(model, y, model.hyper_latents(y), torch.tensor([50.0]))


@pytest.mark.parametrize("build", [tiny_model, tiny_taco])
def test_freezing_is_deterministic(build: Any, tmp_path: Path, tiny_weights: Path, tiny_taco_weights: Path) -> None:
    first = tiny_weights if build is tiny_model else tiny_taco_weights
    again = write_weights(tmp_path / first.name, build())
    assert again.read_bytes() == first.read_bytes()
    assert weights.describe(again).decode_hash == weights.describe(first).decode_hash


def test_loading_never_freezes(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path, codec: Codec) -> None:
    before = entropy_of(codec).parts()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("freezes")

    for module, name in (
        (tacit.exact.freezing, "freeze"),
        (tacit.exact.freezing, "_quantise_layer"),
        (tacit.models.freezing, "freeze"),
        (tacit.models.freezing, "gaussian_tables"),
        (tacit.models.freezing, "prior_tables"),
        (tacit.models.freezing, "freeze_entropy"),
    ):
        monkeypatch.setattr(module, name, refuse)
    codec._model(tiny_weights)
    after = weights.load(tiny_weights).entropy.parts()
    assert before.shapes == after.shapes
    assert before.tensors.keys() == after.tensors.keys()
    for name, tensor in before.tensors.items():
        assert torch.equal(tensor, after.tensors[name]), name
