"""Models change from full attention to linear and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from support.pictures import samples, synthetic
from support.tiny_models import LINEAR, LONG, linear_config, tiny_model, tiny_taco, write_weights
from tacit import cli
from tacit.codec import Codec
from tacit.errors import InvalidInput
from tacit.models.attention import Extractor, Injector
from tacit.text.tokens import TextTokens


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    """Of the configuration smoke, for a few steps."""
    pytest.importorskip("lightning.pytorch")
    pytest.importorskip("skimage")
    return [
        "data.batch=2",
        "data.crop=128",
        "data.caption_dropout=0",
        "data.join_captions=true",
        "validation.images=",
        f"run.out={tmp_path / 'out'}",
        "run.steps=2",
        "run.precision=32-true",
        "run.progress=false",
        "schedule.warmup=0",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_model, tiny_taco], ids=["tacit-s", "taco"])
def test_fine_tuning_goes_from_full_to_linear(make: Any, tmp_path: Path, overrides: list[str]) -> None:
    """With all but the text layers fixed; what comes of it is exported, encodes, decodes, and is fine-tuned further."""
    from tacit.training.checkpoint import read_checkpoint
    from tacit.training.export import export
    from tacit.training.starting_weights import load_float_model

    model = make()
    source = write_weights(tmp_path / "full.safetensors", model)
    text = [n for n, part in model.named_modules() if isinstance(part, Injector | Extractor)]
    fixed = [n for n, _ in model.named_parameters() if not n.startswith(tuple(f"{part}." for part in text))]
    options = ["model.options.attention=linear", "model.options.linear_length=8", f"optimizer.fixed={fixed}"]
    assert cli.main(["fine-tune", str(source), "smoke", *options, *overrides]) == 0
    tuned = read_checkpoint(tmp_path / "out" / "last.ckpt")
    assert (tuned.model_config["attention"], tuned.model_config["linear_length"]) == ("linear", 8)
    # the prior is fitted
    before = {n: v for n, v in load_float_model(source).state_dict().items() if not n.startswith("prior.")}
    moved = {n for n, v in before.items() if not torch.equal(v, tuned.model[n])}
    assert moved
    assert all(n.startswith(tuple(text)) for n in moved)
    tables = [name for name in tuned.model if name.endswith("projection.table")]
    assert len(tables) == 3
    assert all(tuned.model[name].any() for name in tables), "the projections learned nothing"

    exported = tmp_path / "linear.safetensors"
    export(tmp_path / "out" / "last.ckpt", exported)
    thawed = load_float_model(exported)
    assert thawed.config == tuned.averaged_model().config
    for name in tables:
        assert torch.allclose(thawed.state_dict()[name], tuned.average[name], rtol=2**-8, atol=1e-6)  # digits stored
    image, codec = Image.fromarray(synthetic(150, 100)), Codec(exported, precision="fp32")
    assert codec.encode(image, LONG, 50) != codec.encode(image, None, 50)
    assert codec.decode(codec.encode(image, LONG, 50)).size == (150, 100)

    assert cli.main(["fine-tune", str(exported), "smoke", *overrides, f"run.out={tmp_path / 'more'}"]) == 0
    more = read_checkpoint(tmp_path / "more" / "last.ckpt")
    assert more.model_config["attention"] == "linear"
    assert all(more.model[name].abs().max() > 2e-4 for name in tables), "began afresh"


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_model, tiny_taco], ids=["tacit-s", "taco"])
def test_attention_is_changed_without_a_change_of_the_rest(make: Any) -> None:
    pytest.importorskip("lightning.pytorch")
    from tacit.training.starting_weights import with_options

    model = make()
    assert with_options(model, {}) is model
    assert with_options(model, {"attention": "full"}) is model
    linear = with_options(model, LINEAR)
    assert linear.config == linear_config(model.config)
    assert all(torch.equal(v, linear.state_dict()[n]) for n, v in model.state_dict().items())
    tokens = TextTokens.empty(3, 256)
    x = samples(32)  # four pixels to attend to in tacit-s, sixteen in taco
    assert torch.allclose(model.analysis(x, tokens), linear.analysis(x, tokens), atol=0.05)
    narrower = with_options(linear, {"linear_length": 4})
    assert narrower.config.as_dict()["linear_length"] == 4
    back = with_options(narrower, {"attention": "full"})
    assert all(torch.equal(v, back.state_dict()[n]) for n, v in model.state_dict().items())
    with pytest.raises(InvalidInput, match="attention must be full or linear, got 'sparse'"):
        with_options(model, {"attention": "sparse"})


@pytest.mark.parametrize("option", ["attention=sparse", "linear_length=1", "linear_length=many"])
def test_options_that_make_no_model(option: str, overrides: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "smoke", f"model.options.{option}", *overrides]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert option.split("=")[0] in line
