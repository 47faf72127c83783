"""Configurations: read, printed, overridden and refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tacit.errors import InvalidInput, PathError
from tacit.models.building import build
from tacit.models.ssim_loss import SMALLEST
from tacit.training import config as configurations
from tacit.training.config import Config


def test_every_configuration_in_the_package_is_read() -> None:
    assert set(configurations.names()) == {"smoke", "tacit-s", "tacit-s-tuned", "taco-published", "taco-variable"}
    for name in configurations.names():
        config = configurations.read(name)
        assert configurations.from_dict(config.as_dict()) == config
        model = build(config.model.name, config.model.options).config
        assert bool(model.knots) == (config.loss.lambda_low < config.loss.lambda_high)
    published = configurations.read("taco-published")
    assert published.loss.lambda_low == 0.0004
    assert (published.run.epochs, published.schedule.milestones, published.data.batch) == (50, (45, 48), 8)


def test_what_is_printed_is_read_again(tmp_path: Path) -> None:
    config = configurations.read("smoke", ["run.steps=7", "optimizer.betas=[0.8, 0.9]", "data.path=x y"])
    path = tmp_path / "my.yaml"
    path.write_text(config.to_yaml())
    assert configurations.read(str(path)) == config
    assert (config.run.steps, config.optimizer.betas, config.data.path) == (7, (0.8, 0.9), "x y")


def keys() -> Iterator[str]:
    for section in dataclasses.fields(Config):
        for key in configurations.from_dict({"run": {"steps": 1}}).as_dict()[section.name]:
            yield f"{section.name}.{key}"


@pytest.mark.parametrize("key", [k for k in keys() if k != "model.options"])
def test_every_key_can_be_overridden(key: str) -> None:
    section, name = key.split(".")
    before = configurations.read("smoke")
    value = before.as_dict()[section][name]
    other: Any = {bool: not value, str: None, int: 64, float: 0.5, list: [0.25, 0.75]}[type(value)]
    choices = {
        "model.name": "taco",
        "model.start": "random",
        "data.kind": "folder",
        "schedule.kind": "multistep",
        "run.strategy": "ddp",
        "optimizer.kind": "muon",
    }
    choices |= {
        "run.precision": "32-true",
        "run.step": "loader",
        "loss.perceptual_net": "vgg",
        "loss.perceptual_scale": "taco",
    }
    if isinstance(value, str):
        other = choices.get(key, "else")
    if key == "validation.metrics":
        other = ["psnr"]
    if key == "optimizer.fixed":
        other = ["synthesis"]
    if key == "schedule.milestones":
        other = [3, 4]
    if key == "loss.coarse":
        other = [0.5, 1.0, 2.0, 4.0]
    if key == "loss.shares":
        other = [0.5, 1.0, 0.25]
    more = ["data.crop=192"] if key == "loss.structure" else []
    if key == "loss.lambda_low":
        other = 0.001
    after = configurations.read("smoke", [f"{key}={json.dumps(other)}", *more])
    assert after.as_dict()[section][name] == other


@pytest.mark.parametrize(
    "override",
    ["run.stepz=1", "run=1", "steps=1", "run.steps", "run.steps=x", "nothing.at=1", "run.steps.more=1",
     "data.crop=100", "data.kind=tape", "optimizer.betas=[1]", "run.steps=0", "loss.lambda_low=0",
     "run.compile=1", "run.steps=[", "run.steps=1.5", "run.steps=-4", "run.log_every=0", "data.batch=0",
     "data.workers=-1", "data.caption_dropout=7", "optimizer.ema=2", "optimizer.ema=.nan", "optimizer.betas=[0.9, 1]",
     "optimizer.learning_rate=-1", "validation.qualities=[300]", "validation.qualities=[]",
     "loss.shares=[1, 1.5, 1]", "loss.shares=[1, 1]", "run.precision=bf16-true"],
)  # fmt: skip
def test_wrong_overrides_are_refused(override: str) -> None:
    with pytest.raises(InvalidInput):
        configurations.read("smoke", [override])


@pytest.mark.parametrize("source", configurations.names())
@pytest.mark.parametrize("length", ["steps", "epochs", "minutes"])
def test_a_length_on_the_command_line_replaces_that_of_the_file(source: str, length: str) -> None:
    run = configurations.read(source, ["run.seed=3", f"run.{length}=7"]).run
    assert {name: getattr(run, name) for name in ("steps", "epochs", "minutes") if getattr(run, name)} == {length: 7}


def test_two_lengths_on_the_command_line_are_refused() -> None:
    with pytest.raises(InvalidInput, match="exactly one of run"):
        configurations.read("smoke", ["run.minutes=1", "run.steps=5"])


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="taco-published"):
        configurations.read("nothing")
    for text in ("[1, 2]", "a: [", "run: 3"):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(InvalidInput):
            configurations.read(str(tmp_path / "x.yaml"))


def test_only_a_pool_is_kept_on_the_device(image_folder: Path, make_config: Callable[..., Config]) -> None:
    with pytest.raises(InvalidInput, match=r"data\.on_device"):
        make_config("data.kind=folder", f"data.path={image_folder}", "data.on_device=true")


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


def test_structure_needs_crops_of_five_scales() -> None:
    assert SMALLEST == 161
    with pytest.raises(InvalidInput, match="192"):
        configurations.read("smoke", ["loss.structure=1", "data.crop=128"])
