"""Steps on the device alone: they are those of the loader's path, and runs go on from one to the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from support.tiny_models import TINY, tiny_model
from support.training import load_state, log_rows
from tacit.errors import InvalidInput, TacitError
from tacit.text.tokens import TextTokens
from tacit.training.captured import CapturedModule
from tacit.training.checkpoint import read_checkpoint
from tacit.training.config import Config
from tacit.training.datamodule import TrainingData
from tacit.training.dataset.device_samples import DeviceBatch
from tacit.training.dataset.image_files import ImageFiles
from tacit.training.dataset.pool import ImagePool
from tacit.training.loss import build_loss
from tacit.training.module import MAX_SKIPPED
from tacit.training.muon import Muon
from tacit.training.run import drawn_on_device, train

Make = Callable[..., Config]


def ready_module(config: Config) -> tuple[CapturedModule, TrainingData]:
    """Return a module that is ready to make steps on the CPU, and its data."""
    model = tiny_model().train().requires_grad_(True)
    data = TrainingData(config, model.config.text_encoder, model.config.text_width)
    data.draw_on_device()
    module = CapturedModule(config, model, build_loss(config.loss))
    module.begin(module.configure_optimizers(), data.device_samples(torch.device("cpu")))
    return module, data


def weights_of(module: CapturedModule) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.model.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_a_step_is_that_of_the_loader(make_config: Make, kind: str) -> None:
    # Latents are rounded, not noisy: so the losses depend on the samples alone.
    config = make_config(
        f"optimizer.kind={kind}", "optimizer.gains=6", "loss.rounded=1", "model.start=random", "run.steps=1"
    )
    loader = TrainingData(config, "embedded", 256).train_dataloader()
    batch = next(iter(loader))
    expected = read_checkpoint(train(config, start=tiny_model()))

    module, _ = ready_module(config)
    for group in module.optimizer.param_groups:  # the first of two steps of warm-up
        group["lr"].fill_(config.optimizer.learning_rate * group.get("times", 1.0) / 2)
    module.step_on_device(DeviceBatch(pixels=batch.pixels, tokens=batch.tokens, quality=batch.quality))
    (row,) = log_rows(Path(config.run.out))
    assert float(module.log_values["loss"]) == pytest.approx(float(row["loss"]), rel=1e-5)
    assert module.norm is not None
    assert float(module.norm) == pytest.approx(float(row["norm"]), rel=1e-4)
    before = {name: p.detach() for name, p in tiny_model().named_parameters()}
    for name, value in weights_of(module).items():
        moved, expected_move = value - before[name], expected.model[name] - before[name]
        # Muon's iteration runs in bf16, and sums are taken in another order where channels are last in memory.
        # What hardly has a gradient, as the layers behind closed gates, moves by less than the noise of such sums.
        move = max(float(expected_move.norm()), 3e-5)
        assert (moved - expected_move).norm() <= (0.15 if kind == "muon" else 0.03) * move, name
    assert any(not torch.equal(value, before[name]) for name, value in weights_of(module).items())


@pytest.mark.slow
def test_a_step_that_is_not_finite_changes_nothing(make_config: Make) -> None:
    module, data = ready_module(make_config("optimizer.kind=muon"))
    module.make_step()
    before = weights_of(module)
    state = [{k: v.clone() for k, v in values.items()} for values in module.optimizer.state.values()]
    samples = data.device_samples(torch.device("cpu"))
    batch = samples.draw()
    words = TextTokens(torch.full((2, 3, TINY.text_width), math.nan), torch.ones(2, 3).bool(), torch.ones(2, 3))
    broken = DeviceBatch(pixels=batch.pixels, tokens=words, quality=batch.quality)
    module.step_on_device(broken)
    for name, value in weights_of(module).items():
        assert torch.equal(value, before[name]), name
    for old, new in zip(state, module.optimizer.state.values(), strict=True):
        assert all(torch.equal(old[k], new[k]) for k in old)
    module.count_skipped()
    assert module.skipped == 1
    module.step_on_device(batch)
    module.count_skipped()
    assert module.skipped == 1
    with pytest.raises(TacitError, match="not finite"):
        module.check_skipped(MAX_SKIPPED)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_runs_go_on_from_either_path(make_config: Make, kind: str) -> None:
    overrides = (f"optimizer.kind={kind}", "loss.partial=0.5", "data.quality_maps=0.5")
    first = train(make_config(*overrides, "run.steps=2", "run.step=device", out="a"))
    assert read_checkpoint(first).steps == 2
    for step in ("device", "loader"):
        last = train(make_config(*overrides, "run.steps=4", f"run.step={step}", out=step), resume=first)
        after = read_checkpoint(last)
        assert after.steps == 4
        assert after.pixels == 4 * 2 * 64 * 64
        counts = {float(v["step"]) for v in load_state(last)["optimizer_states"][0]["state"].values() if "step" in v}
        assert counts == {4.0}
    loaded = train(make_config(*overrides, "run.steps=2", "run.step=loader", out="b"))
    last = train(make_config(*overrides, "run.steps=3", "run.step=device", out="c"), resume=loaded)
    assert read_checkpoint(last).steps == 3


@pytest.mark.slow
def test_images_in_files_are_decoded_first(make_config: Make, image_folder: Path) -> None:
    config = make_config("data.kind=folder", f"data.path={image_folder}", "data.by_area=false", "run.step=device")
    data = TrainingData(config, "embedded", 256)
    data.draw_on_device()
    assert data.epoch_size == 3
    assert data.device_samples(torch.device("cpu")).draw().pixels.shape == (2, 3, 64, 64)


POOL = ImagePool.of([(np.zeros((64, 64, 3), dtype=np.uint8), ())])


@pytest.mark.parametrize(
    ("overrides", "images", "said"),
    [
        (["run.step=captured"], POOL, "needs a CUDA device"),
        (["run.step=device"], None, "with data.kind shards"),
        (["run.step=device", "run.devices=2", "run.compile=true"], POOL, "with more than one device and run.compile"),
    ],
)
def test_what_cannot_be_drawn_on_the_device(
    make_config: Make, overrides: list[str], images: ImagePool | None, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        drawn_on_device(make_config(*overrides), images)


def test_batches_are_drawn_on_a_gpu_whose_memory_holds_the_images(
    make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not drawn_on_device(make_config(), POOL)
    assert drawn_on_device(make_config("run.step=device"), POOL)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, 2 * POOL.pixels.nbytes))
    assert drawn_on_device(make_config(), POOL)
    assert not drawn_on_device(make_config("run.accelerator=cpu"), POOL)
    assert not drawn_on_device(make_config("run.step=loader"), POOL)
    assert not drawn_on_device(make_config(), ImageFiles((Path("a.png"),), ((),)))
    assert drawn_on_device(make_config("run.step=captured"), ImageFiles((Path("a.png"),), ((),)))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, POOL.pixels.nbytes))
    assert not drawn_on_device(make_config(), POOL)


def test_a_step_that_is_captured_reads_nothing_back(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture ends where a value is read; so reading one must not happen on any device."""
    module, _ = ready_module(make_config("optimizer.kind=muon", "loss.partial=0.5", "data.quality_maps=0.5"))
    monkeypatch.setattr(Muon, "_number", staticmethod(lambda value: value.clamp_min(1e-30)))  # as on a GPU
    module.make_step()  # whatever is made only once

    class Reading(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten._local_scalar_dense.default:
                pytest.fail("a value is read back")
            return func(*args, **(kwargs or {}))

    with Reading():  # type: ignore[no-untyped-call]
        module.make_step()
