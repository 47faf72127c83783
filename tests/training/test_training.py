"""Training: configurations, samples, losses, checkpoints, resuming, and runs on more than one process."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from support.pictures import samples, synthetic
from support.tiny_models import TINY, TINY_TACO, TINY_TACO_FIXED, tiny_model, tiny_taco, write_weights
from tacit import cli, weights
from tacit.codec import Codec
from tacit.data.shards import expand_pattern
from tacit.errors import CorruptWeights, InvalidInput, MissingWeights, NotExact, PathError, TacitError
from tacit.models.building import build
from tacit.models.float_model import Forward
from tacit.models.prior import FactorizedPrior
from tacit.models.quantization import uniform
from tacit.text.tokens import TextTokens
from tacit.training.dataset.batches import BatchNumbers, SampleCollate
from tacit.training.dataset.bundle import read_bundle, write_bundle
from tacit.training.dataset.caption_choice import draw_caption, possible_captions
from tacit.training.dataset.image_files import BadImage, decode_image, read_coco, read_folder, read_list
from tacit.training.dataset.pool import ImagePool, build_pool, cut_crops, open_pool
from tacit.training.dataset.samples import Recipe, Samples
from tacit.training.dataset.shard_samples import ShardSamples
from tacit.training.dataset.token_cache import TokenCache

pytest.importorskip("lightning.pytorch")

from tacit.training import config as configurations
from tacit.training import export as exporting
from tacit.training.checkpoint import read_checkpoint
from tacit.training.clip_loss import ClipLoss, contrastive_loss
from tacit.training.config import Config, LossConfig, ScheduleConfig, ValidationConfig
from tacit.training.freezing import freeze_model
from tacit.training.learning_rate import learning_rate_factor
from tacit.training.loss import Loss, quantile_loss
from tacit.training.module import TrainingModule
from tacit.training.preparation import prepare
from tacit.training.run import fine_tune, train
from tacit.training.starting_weights import load_float_model

SIZES = json.dumps(TINY.as_dict())


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool of five small pictures, two of which have captions."""
    folder = tmp_path_factory.mktemp("pool")
    rows = []
    for i, size in enumerate(((96, 80), (80, 128), (130, 90), (72, 72), (100, 100))):
        Image.fromarray(synthetic(*size, seed=i)).save(folder / f"{i}.png")
        rows.append({"file": f"{i}.png", "captions": [["a grey wave", "a wave"], ["an edge"]][i] if i < 2 else []})
    build_pool(rows, folder, folder / "pool", 64)
    return folder / "pool"


@pytest.fixture
def settings_of(pool: Path, tmp_path: Path) -> Callable[..., Config]:
    """A run of a few steps on the pool: settings_of("run.steps=4", ...)."""

    def make(*overrides: str, out: str = "out") -> Config:
        return configurations.read(
            "tacit-s",
            [
                f"model.options={SIZES}",
                f"data.path={pool}",
                "data.batch=2",
                "data.crop=64",
                f"run.out={tmp_path / out}",
                "run.minutes=0",
                "run.steps=8",
                "run.precision=32-true",
                "run.log_every=1",
                "run.progress=false",
                "schedule.warmup=2",
                *overrides,
            ],
        )

    return make


def rows_of(out: Path, version: int = 0) -> list[dict[str, str]]:
    with (out / "csv" / f"version_{version}" / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


def stored(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def equal(a: Any, b: Any) -> bool:
    """The same contents, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


# -- a run ------------------------------------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_a_resumed_run_equals_one_that_never_stopped(
    settings_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    options = [f"optimizer.kind={kind}", "data.quality_maps=0.5", "optimizer.fixed=[gain]"]
    whole = stored(train(settings_of(*options, out="whole")))
    again = settings_of(*options, "run.checkpoint_minutes=1e-9", out="parts")
    step = TrainingModule.training_step

    def dying(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        if self.steps == 6:
            raise Killed
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", dying)
        with pytest.raises(Killed):
            train(again)
    assert stored(tmp_path / "parts" / "last.ckpt")["tacit"]["steps"] == 5  # one step is lost
    parts = stored(train(again))
    assert parts["tacit"]["steps"] == 8
    assert equal(whole["state_dict"], parts["state_dict"])
    assert equal(whole["callbacks"]["ema"], parts["callbacks"]["ema"])
    assert equal(whole["optimizer_states"], parts["optimizer_states"])
    assert whole["tacit"]["pixels"] == parts["tacit"]["pixels"] == 8 * 2 * 64 * 64
    first, last = rows_of(tmp_path / "whole"), rows_of(tmp_path / "parts", 1)
    assert [r["loss"] for r in first[5:]] == [r["loss"] for r in last]
    assert not list(tmp_path.rglob("*.tmp"))
    assert not equal(
        whole["state_dict"]["model.analysis.project.weight"],
        whole["callbacks"]["ema"]["model"]["analysis.project.weight"],
    )


def test_training_learns(settings_of: Callable[..., Config], tmp_path: Path) -> None:
    train(settings_of("run.steps=40", "optimizer.learning_rate=3e-3"))
    losses = [float(row["loss"]) for row in rows_of(tmp_path / "out")]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_steps_that_are_not_finite_change_nothing_and_are_counted(
    settings_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step = TrainingModule.training_step
    seen: list[torch.Tensor] = []

    def broken(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        seen.append(self.model.analysis.project.weight.detach().clone())
        loss = step(self, batch, batch_idx)
        return loss * float("nan") if self.steps in (2, 3) else loss

    monkeypatch.setattr(TrainingModule, "training_step", broken)
    state = stored(train(settings_of("run.steps=6")))
    assert state["tacit"]["skipped"] == 2
    changed = [not torch.equal(a, b) for a, b in pairwise(seen)]
    assert changed == [True, True, False, False, True]
    assert all(p.isfinite().all() for p in state["state_dict"].values())
    assert rows_of(tmp_path / "out")[-1]["skipped"] == "2"


def test_a_hopeless_run_ends(settings_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.training.module.MAX_SKIPPED", 3)
    with pytest.raises(TacitError, match="not finite"):
        train(settings_of("loss.rate=.inf", "run.steps=20"))


def test_validation_is_on_real_files(
    settings_of: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(synthetic(100, 70, seed=9)).save(photos / "a.png")
    (photos / "a.txt").write_text("a wave")
    last = train(
        settings_of(
            "run.steps=2",
            f"validation.images={photos}",
            "validation.qualities=[10, 50, 90]",
            "validation.metrics=[psnr, ms-ssim]",
            "loss.shares=[1, 1, 0.5]",
        )
    )
    (row,) = [r for r in rows_of(tmp_path / "out") if r["val_q50_bpp"]]
    rates = [float(row[f"val_q{q}_bpp"]) for q in (10, 50, 90)]
    assert rates == sorted(rates)
    assert all((rate * 100 * 70) % 8 == pytest.approx(0, abs=1e-6) for rate in rates)  # whole bytes
    assert float(row["val_q90_psnr"]) > float(row["val_q10_psnr"])
    assert "ms-ssim" in caplog.text  # the photo is too small for it, which is said
    figures = read_checkpoint(last).figures
    assert figures is not None
    assert [f["quality"] for f in figures] == [10, 50, 90]
    out = tmp_path / "x.safetensors"
    exporting.export(last, out, card={"terms": "ours"})
    card = weights.describe(out).card
    assert card["steps"] == 2
    assert card["loss"] == "mse 1.0, lambda_low 0.0004, lambda_high 0.07, shares [1.0, 1.0, 0.5]"
    assert card["optimizer"] == "adam"
    assert card["terms"] == "ours"
    assert card["figures"] == figures
    assert "pool" in card["data"]
    picture = Image.fromarray(synthetic(90, 60))
    codec = Codec(out, precision="fp32")
    assert codec.decode(codec.encode(picture, "a wave", 50)).size == (90, 60)


def test_validation_goes_without_what_fails(
    settings_of: Callable[..., Config],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(b"no image")
    validation = (f"validation.images={photos}", "validation.metrics=[psnr]", "validation.qualities=[50]")
    with pytest.raises(InvalidInput, match="none of the images can be read"):
        train(settings_of(*validation))
    Image.fromarray(synthetic(64, 64)).save(photos / "b.png")
    with pytest.raises(InvalidInput, match="nonsense"):
        train(settings_of(*validation, "validation.metrics=[nonsense]"))
    freeze = freeze_model
    calls = []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise NotExact("weights do not fit")
        return freeze(*arguments)

    monkeypatch.setattr("tacit.training.callbacks.validation.freeze_model", failing)
    state = stored(train(settings_of(*validation, "validation.every=1", "run.steps=2")))
    assert "validation goes without" in caplog.text
    assert "no validation at step 1: weights do not fit" in caplog.text
    assert [f["quality"] for f in state["callbacks"]["validation"]["figures"]] == [50]
    assert [row["step"] for row in rows_of(tmp_path / "out") if row["val_q50_bpp"]] == ["2"]


def test_a_fixed_rate_is_validated_without_qualities(settings_of: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(synthetic(64, 64)).save(tmp_path / "photos" / "a.png")
    options = json.dumps(TINY_TACO_FIXED.as_dict())
    taco = ("model.name=taco", "model.start=random", f"model.options={options}", "run.steps=1")
    last = train(settings_of(*taco, f"validation.images={tmp_path / 'photos'}", "validation.metrics=[psnr]"))
    (figures,) = read_checkpoint(last).figures or ()
    assert figures.keys() == {"bpp", "psnr"}
    assert rows_of(tmp_path / "out")[-1]["val_bpp"] == str(figures["bpp"])


def test_export_takes_the_average(settings_of: Callable[..., Config], tmp_path: Path) -> None:
    last = train(settings_of("run.steps=3", "optimizer.learning_rate=1e-2"))
    found = read_checkpoint(last)
    out = tmp_path / "x.safetensors"
    exporting.export(last, out)
    gain = weights.load(out).float_model.gain.log_gain
    assert torch.equal(gain, found.average["gain.log_gain"])
    assert not torch.equal(gain, found.model["gain.log_gain"])


def test_taco_trains_with_its_quantiles(settings_of: Callable[..., Config], tmp_path: Path) -> None:
    options = json.dumps(TINY_TACO.as_dict())
    taco = ("model.name=taco", "model.start=random", f"model.options={options}", "run.steps=1")
    before = train(settings_of(*taco, out="without"))
    after = train(settings_of(*taco, "optimizer.quantile_rate=1e-1", out="with"))
    start = [[-10.0, 0.0, 10.0]] * TINY_TACO.width
    assert stored(before)["state_dict"]["model.prior.quantiles"][:, 0].tolist() == start
    moved = stored(after)["state_dict"]["model.prior.quantiles"][:, 0]
    assert ((moved - torch.tensor(start)).abs() > 0.05).all()
    # of nothing else does their loss take notice
    a, b = (stored(path)["state_dict"] for path in (before, after))
    assert all(torch.equal(a[k], b[k]) for k in a if k != "model.prior.quantiles")


def test_the_quantiles_find_their_places() -> None:
    torch.manual_seed(0)
    prior = FactorizedPrior(4)
    optimizer = torch.optim.Adam([prior.quantiles])
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 300)
        optimizer.zero_grad()
        quantile_loss(prior).backward()
        optimizer.step()
    assert all(p.grad is None for n, p in prior.named_parameters() if n != "quantiles")
    below, middle, above = torch.sigmoid(prior.logits(prior.quantiles))[:, 0].unbind(1)
    assert torch.allclose(middle, torch.tensor(0.5), atol=0.01)
    assert (below < 0.02).all()
    assert (above > 0.98).all()


def early(path: Path, steps: int) -> Path:
    """A checkpoint of the first days."""
    model = tiny_model().train()
    average = tiny_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.99), fused=True)
    out = model(torch.rand(1, 3, 64, 64), TextTokens.empty(1, TINY.text_width), torch.tensor([50.0]))
    (out.y_bits + out.z_bits).sum().backward()
    optimizer.step()
    state = {
        "config": TINY.as_dict(),
        "model": model.state_dict(),
        "ema": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": steps,
        "pixels": 1_000_000,
    }
    torch.save(state, path)
    return path


def test_checkpoints_of_the_first_days_go_on(
    settings_of: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = early(tmp_path / "last.pt", 700)
    found = read_checkpoint(path)
    assert found.adam_state is not None
    wanted = found.adam_state["analysis.project.weight"]["exp_avg"]
    assert wanted.abs().sum() > 0
    quiet = ("optimizer.learning_rate=0", "optimizer.ema=1")
    last = train(settings_of("run.steps=702", *quiet), resume=path)
    state = stored(last)
    assert state["tacit"]["steps"] == 702
    assert state["tacit"]["pixels"] == 1_000_000 + 2 * 2 * 64 * 64
    assert torch.equal(state["state_dict"]["model.analysis.project.weight"], found.model["analysis.project.weight"])
    again = stored(train(settings_of("run.steps=703", *quiet), resume=path))  # from its own checkpoint now
    assert again["tacit"]["steps"] == 703
    names = [n for n, _ in found.trained_model().named_parameters() if n != "prior.quantiles"]
    adam = state["optimizer_states"][0]["state"][names.index("analysis.project.weight")]
    assert adam["step"] == 3
    monkeypatch.setattr(exporting, "CROP_SIZE", 64)
    exporting.export(path, tmp_path / "x.safetensors", images=Path(settings_of().data.path))
    with pytest.raises(InvalidInput, match="images must be given"):
        exporting.export(path, tmp_path / "y.safetensors")


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(PathError):
        read_checkpoint(tmp_path / "missing.ckpt")
    for data in (b"", b"not a file of torch", b"PK\x03\x04"):
        (tmp_path / "x.ckpt").write_bytes(data)
        with pytest.raises(CorruptWeights):
            read_checkpoint(tmp_path / "x.ckpt")
    for thing in ({"state_dict": {}}, [1], {"config": {}, "model": {}}):
        torch.save(thing, tmp_path / "x.ckpt")
        with pytest.raises(CorruptWeights):
            read_checkpoint(tmp_path / "x.ckpt")


def test_fine_tuning_begins_with_the_weights(settings_of: Callable[..., Config], tmp_path: Path) -> None:
    path = early(tmp_path / "last.pt", 700)
    state = stored(fine_tune(settings_of("run.steps=1", "optimizer.learning_rate=0", "model.options={}"), path))
    assert state["tacit"]["steps"] == 1
    average = read_checkpoint(path).average
    assert torch.equal(state["state_dict"]["model.analysis.project.weight"], average["analysis.project.weight"])


def test_a_run_that_was_begun_goes_on_and_says_so(
    settings_of: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = early(tmp_path / "last.pt", 700)
    for steps in (1, 2):
        state = stored(fine_tune(settings_of(f"run.steps={steps}", "model.options={}"), path))
        assert state["tacit"]["steps"] == steps
        assert (f"{path} is not read" in caplog.text) == (steps == 2)


@pytest.mark.parametrize("override", ["optimizer.kind=muon", "optimizer.gains=3", "optimizer.quantile_rate=0.1"])
def test_a_run_goes_on_with_its_own_optimizer(settings_of: Callable[..., Config], override: str) -> None:
    train(settings_of("run.steps=1"))
    with pytest.raises(InvalidInput, match=override.split("=")[0]):
        train(settings_of("run.steps=2", override))


def test_a_checkpoint_that_cannot_be_written_is_named(
    settings_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr("lightning.pytorch.Trainer.save_checkpoint", full)
    with pytest.raises(PathError, match=r"last\.ckpt: the checkpoint cannot be written"):
        train(settings_of("run.steps=1"))


@pytest.mark.parametrize("make", [tiny_model, tiny_taco], ids=["tacit-s", "taco"])
def test_weights_files_become_floats_again(
    make: Callable[[], Any], tmp_path: Path, settings_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
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
    last = fine_tune(settings_of("run.steps=1"), path)
    assert read_checkpoint(last).architecture == ("tacit-s" if make is tiny_model else "taco")


def test_fine_tuning_from_a_published_checkpoint(
    settings_of: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "taco.pth.tar"
    path.touch()
    fixed = tiny_taco(TINY_TACO_FIXED).eval()
    monkeypatch.setattr("tacit.models.taco_import.read_published", lambda path: {})
    monkeypatch.setattr("tacit.models.taco_import.load_published", lambda state: fixed)
    before = {k: v.clone() for k, v in fixed.state_dict().items()}
    found = read_checkpoint(fine_tune(settings_of("run.steps=1", "optimizer.quantile_rate=1e-3"), path))
    assert fixed.training  # or noise would not stand for rounding
    assert found.architecture == "taco"
    moved = [k for k, v in found.model.items() if not torch.equal(v, before[k])]
    assert {k.split(".")[0] for k in moved} == {"analysis", "synthesis", "hyper_analysis", "entropy", "prior"}


def test_what_is_no_published_checkpoint_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {"layer.weight": torch.zeros(2)}}, tmp_path / "other.pth.tar")
    with pytest.raises(CorruptWeights, match=r"other\.pth\.tar: not the published TACO network"):
        load_float_model(tmp_path / "other.pth.tar")


def test_an_interrupted_run_says_so(
    settings_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(settings_of("run.steps=3").to_yaml())
    handler = signal.getsignal(signal.SIGINT)

    def interrupted(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", interrupted)
        assert cli.main(["train", str(path)]) == 130
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "out" / "last.ckpt").exists()


def test_a_run_says_how_fast_it_is_and_what_is_left(
    settings_of: Callable[..., Config], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    train(settings_of("run.steps=10", "run.log_every=5", "run.progress=true"))
    first, last = capsys.readouterr().err.strip().splitlines()
    assert re.fullmatch(r"step 5 \(50\.0% done.*\): loss .* bpp, .* dB, [\d.]+ img/s, \d+% waiting", first)
    assert last.startswith("step 10 (100.0% done): ")
    row = rows_of(tmp_path / "out")[-1]
    assert 0 <= float(row["waiting"]) < 1
    assert float(row["images_per_second"]) > 1


def test_time_ends_a_run(settings_of: Callable[..., Config], tmp_path: Path) -> None:
    config = settings_of("run.steps=0", "run.minutes=1e-9")
    state = stored(train(config))
    assert state["tacit"]["steps"] == 5  # the first look at the clock
    assert state["tacit"]["seconds"] > 0
    train(config)
    assert stored(tmp_path / "out" / "last.ckpt")["tacit"]["steps"] == 5


@pytest.mark.parametrize(
    "override",
    ["run.precision=12", "run.accelerator=abacus", 'model.options={"knots": 1}', "data.cache=/dev/null/x"],
)
def test_what_cannot_be_run_is_refused(settings_of: Callable[..., Config], override: str) -> None:
    with pytest.raises((InvalidInput, PathError)):
        train(settings_of(override))


def test_only_a_pool_is_kept_on_the_device(photos: Path, settings_of: Callable[..., Config]) -> None:
    with pytest.raises(InvalidInput, match=r"data\.on_device"):
        settings_of("data.kind=folder", f"data.path={photos}", "data.on_device=true")


def test_a_finished_run_is_left_alone(settings_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings_of("run.steps=1")
    last = train(config)
    before = last.read_bytes()
    monkeypatch.setattr(TrainingModule, "training_step", lambda *a: pytest.fail("went on"))
    assert train(config) == last
    assert last.read_bytes() == before


# -- configurations ---------------------------------------------------------------------------------------------------


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
    choices |= {"run.precision": "32-true", "loss.perceptual_net": "vgg", "loss.perceptual_scale": "taco"}
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
    more = ["run.steps=0"] if key in ("run.epochs", "run.minutes") else []
    if key == "loss.structure":
        more = ["data.crop=192"]
    if key == "loss.lambda_low":
        other = 0.001
    after = configurations.read("smoke", [f"{key}={json.dumps(other)}", *more])
    assert after.as_dict()[section][name] == other


@pytest.mark.parametrize(
    "override",
    ["run.stepz=1", "run=1", "steps=1", "run.steps", "run.steps=x", "nothing.at=1", "run.steps.more=1",
     "data.crop=100", "data.kind=tape", "optimizer.betas=[1]", "run.minutes=1", "loss.lambda_low=0",
     "run.compile=1", "run.steps=[", "run.steps=1.5", "run.steps=-4", "run.log_every=0", "data.batch=0",
     "data.workers=-1", "data.caption_dropout=7", "optimizer.ema=2", "optimizer.ema=.nan", "optimizer.betas=[0.9, 1]",
     "optimizer.learning_rate=-1", "validation.qualities=[300]", "validation.qualities=[]",
     "loss.shares=[1, 1.5, 1]", "loss.shares=[1, 1]", "run.precision=bf16-true"],
)  # fmt: skip
def test_wrong_overrides_are_refused(override: str) -> None:
    with pytest.raises(InvalidInput):
        configurations.read("smoke", [override])


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="taco-published"):
        configurations.read("nothing")
    for text in ("[1, 2]", "a: [", "run: 3"):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(InvalidInput):
            configurations.read(str(tmp_path / "x.yaml"))


def test_the_command_line(
    settings_of: Callable[..., Config], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings_of("run.steps=1", "data.crop=64")
    path = tmp_path / "my.yaml"
    path.write_text(config.to_yaml())
    assert cli.main(["train", str(path), "run.seed=3", "--print-config"]) == 0
    (tmp_path / "again.yaml").write_text(capsys.readouterr().out)
    again = configurations.read(str(tmp_path / "again.yaml"))
    assert again == configurations.read(str(path), ["run.seed=3"])
    assert cli.main(["train", str(path), "run.sed=3"]) == 2
    assert "no such key" in capsys.readouterr().err
    assert cli.main(["train", str(tmp_path / "none.yaml")]) == 1
    assert cli.main(["train", str(path)]) == 0
    last = capsys.readouterr().out.strip()
    assert Path(last).is_file()
    out = tmp_path / "x.safetensors"
    assert cli.main(["export", last, str(out), "--terms", "ours"]) == 0
    assert weights.describe(out).card["terms"] == "ours"
    assert cli.main(["export", last, "-o", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert cli.main(["export", last, "--output", str(out), "-f"]) == 0
    assert cli.main(["export", last, str(out), "-o", str(out)]) == 2
    assert cli.main(["export", last]) == 2
    assert "-o/--output OUT" in capsys.readouterr().err
    assert cli.main(["fine-tune", last, str(path), f"run.out={tmp_path / 'tuned'}"]) == 0
    assert read_checkpoint(tmp_path / "tuned" / "last.ckpt").steps == 1
    assert cli.main(["train", str(path), "data.kind=pool", "--prepare", str(tmp_path / "p")]) == 1
    assert "to be prepared, data.kind must be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "points"),
    [
        (
            ScheduleConfig(kind="cosine", warmup=10, decay=0.5),
            {(0, 0.0, 0): 0.1, (9, 0.3, 0): 1, (50, 0.5, 0): 1, (75, 0.75, 0): 0.5},
        ),
        (ScheduleConfig(kind="cosine", warmup=0, decay=0.5), {(0, 0.0, 0): 1, (99, 1.0, 0): 0.01, (120, 1.2, 0): 0.01}),
        (ScheduleConfig(kind="cosine", warmup=0, decay=0.0), {(0, 0.0, 0): 1, (99, 1.0, 0): 1}),
        (
            ScheduleConfig(kind="multistep", warmup=0, decay=0.0, milestones=(45, 48)),
            {(0, 0, 44.9): 1, (1, 0, 45): 0.1, (1, 0, 48): 0.01},
        ),
    ],
)
def test_schedules(config: ScheduleConfig, points: dict[tuple[int, float, float], float]) -> None:
    for where, value in points.items():
        assert learning_rate_factor(config, *where) == pytest.approx(value)


# -- data -------------------------------------------------------------------------------------------------------------


def drawn(samples: Samples, numbers: range) -> list[Any]:
    return [(s.pixels.tobytes(), s.caption, s.caption_seen, s.quality, s.seed) for s in (samples[n] for n in numbers)]


def test_a_sample_is_a_function_of_its_number(pool: Path) -> None:
    recipe = Recipe(seed=3, crop=64, dropout=0.5)
    first, second = (Samples(open_pool(pool, in_memory=memory), recipe) for memory in (True, False))
    whole = drawn(first, range(12))
    assert whole == drawn(second, range(6)) + drawn(second, range(6, 12))
    assert drawn(Samples(open_pool(pool), dataclasses.replace(recipe, seed=4)), range(12)) != whole
    assert len({seed for *_, seed in whole}) == 12


def test_a_pool_that_is_none(pool: Path, tmp_path: Path) -> None:
    for index in ("[]", '{"x": 1}', '{"shapes": [], "captions": []}', '{"shapes": [[4, "x"]], "captions": [[]]}'):
        (tmp_path / "x.json").write_text(index)
        (tmp_path / "x.bin").write_bytes(b"123")
        with pytest.raises(InvalidInput):
            open_pool(tmp_path / "x")
    (tmp_path / "x.json").write_bytes(pool.with_suffix(".json").read_bytes())
    (tmp_path / "x.bin").write_bytes(pool.with_suffix(".bin").read_bytes()[:-1])
    for in_memory in (True, False):
        with pytest.raises(InvalidInput, match="bytes of the 5 images in its index"):
            open_pool(tmp_path / "x", in_memory=in_memory)
    with pytest.raises(PathError):
        open_pool(tmp_path / "y")


def test_an_epoch_has_every_photo_once(pool: Path) -> None:
    opened = open_pool(pool)
    whole = [opened.image(i) for i in range(5)]
    flat = ImagePool.of((np.full_like(p, i), ()) for i, p in enumerate(whole))
    samples = Samples(flat, Recipe(crop=64))
    epochs = [[int(samples[n].pixels[0, 0, 0]) for n in range(5 * e, 5 * e + 5)] for e in range(4)]
    assert all(sorted(e) == list(range(5)) for e in epochs)
    assert len({tuple(e) for e in epochs}) > 1
    by_area = Samples(flat, Recipe(crop=64, by_area=True))
    counts = np.bincount([int(by_area[n].pixels[0, 0, 0]) for n in range(600)], minlength=5)
    areas = flat.shapes.prod(axis=1)
    assert np.abs(counts / 600 - areas / areas.sum()).max() < 0.06


@settings(deadline=None, max_examples=30)
@given(batch=st.integers(1, 6), processes=st.integers(1, 4), start=st.integers(0, 5))
def test_processes_share_each_batch(batch: int, processes: int, start: int) -> None:
    batch *= processes
    whole = iter(BatchNumbers(batch, start))
    parts = [iter(BatchNumbers(batch, start, rank, processes)) for rank in range(processes)]
    for step in range(3):
        together = next(whole)
        assert together == list(range((start + step) * batch, (start + step + 1) * batch))
        assert [n for part in parts for n in next(part)] == together


def test_uneven_shares_are_refused() -> None:
    with pytest.raises(InvalidInput, match="multiple of the 2 processes"):
        BatchNumbers(5, 0, 0, 2)


def test_crops_cut_on_the_device_are_those_cut_by_numpy(pool: Path) -> None:
    opened = open_pool(pool, in_memory=True)
    recipe = Recipe(seed=1, crop=64)
    here, there = Samples(opened, recipe), Samples(opened, recipe, on_device=True)
    collate = SampleCollate(TokenCache("embedded", 256))
    a, b = (collate([s[n] for n in range(8)]) for s in (here, there))
    assert a.pixels is not None
    assert b.places is not None
    assert torch.equal(a.pixels, cut_crops(torch.from_numpy(opened.pixels), b.places, 64))
    assert torch.equal(a.seeds, b.seeds)
    assert a.captions == b.captions


def test_a_run_with_the_pool_on_the_device_equals_one_without(settings_of: Callable[..., Config]) -> None:
    a = stored(train(settings_of("run.steps=2", out="a")))
    b = stored(train(settings_of("run.steps=2", "data.on_device=true", out="b")))
    assert equal(a["state_dict"], b["state_dict"])


def test_workers_change_nothing(settings_of: Callable[..., Config]) -> None:
    a = stored(train(settings_of("run.steps=2", out="a")))
    b = stored(train(settings_of("run.steps=2", "data.workers=1", out="b")))
    assert equal(a["state_dict"], b["state_dict"])


def test_an_error_in_a_worker_is_told_as_it_is(tmp_path: Path, settings_of: Callable[..., Config]) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"no")
    config = settings_of("data.kind=folder", f"data.path={tmp_path / 'bad'}", "data.workers=1", "model.start=random")
    with pytest.raises(InvalidInput) as caught:
        train(config)
    assert str(caught.value) == f"100 bad images in a row, the last {tmp_path / 'bad' / 'x.png'}"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three good photos and three bad ones, the first with a caption."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for i in range(3):
        Image.fromarray(synthetic(80, 90, seed=i)).save(folder / ("below" if i else ".") / f"{i}.jpg")
    (folder / "0.txt").write_text("a boat\n", "utf-8")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes((folder / "0.jpg").read_bytes()[:900])
    Image.fromarray(synthetic(20, 90)).save(folder / "narrow.png")
    return folder


def test_a_folder(photos: Path, settings_of: Callable[..., Config], caplog: pytest.LogCaptureFixture) -> None:
    found = read_folder(photos)
    assert [p.name for p in found.paths] == ["0.jpg", "1.jpg", "2.jpg", "cut.jpg", "empty.jpg", "narrow.png"]
    assert found.captions[0] == ("a boat",)
    assert not any(found.captions[1:])
    config = settings_of("data.kind=folder", f"data.path={photos}", "run.steps=6")
    state = stored(train(config))
    assert state["tacit"]["bad"] >= 6  # two epochs
    for name in ("cut.jpg", "empty.jpg", "narrow.png"):
        assert f"{name} is left out" in caplog.text
    assert rows_of(Path(config.run.out))[-1]["bad_images"] == str(state["tacit"]["bad"])


def test_a_sidecar_that_cannot_be_a_caption_is_passed_over(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    (photos / "0.txt").write_bytes(b"a \xff boat")
    assert read_folder(photos).captions[0] == ()
    assert "0.txt: not UTF-8 (at byte 2); the image is used without a caption" in caplog.text


def test_photos_lie_as_their_cameras_say(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(synthetic(80, 64)).save(tmp_path / "a.jpg", exif=exif)
    assert decode_image(tmp_path / "a.jpg").shape == (80, 64, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["avif", "gif", "jpeg", "png", "tiff", "webp"])
def test_damaged_images_of_every_kind_are_bad_images(kind: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(synthetic(40, 50)).save(stream, kind)
    whole = stream.getvalue()
    rng = np.random.default_rng(0)
    bad = 0
    for number in range(60):
        data = bytearray(whole)
        if number % 2:
            data = data[: int(rng.integers(len(data)))]
        else:
            data[int(rng.integers(min(len(data), 300)))] ^= int(rng.integers(1, 256))
        try:
            decode_image(io.BytesIO(data))
        except BadImage:
            bad += 1
    assert bad > 10


def test_nothing_but_bad_images_ends_a_run(tmp_path: Path, settings_of: Callable[..., Config]) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"no")
    with pytest.raises(InvalidInput):
        train(settings_of("data.kind=folder", f"data.path={tmp_path / 'bad'}"))
    with pytest.raises(InvalidInput, match="bad images in a row"):
        Samples(read_folder(tmp_path / "bad"), Recipe())[0]
    with pytest.raises(PathError):
        read_folder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no images"):
        read_folder(tmp_path / "empty")


def test_lists(photos: Path, tmp_path: Path) -> None:
    rows = [
        {"file": "0.jpg", "captions": ["one", "two"]},
        {"file": "below/1.jpg", "caption": "three"},
        {"file": "x.jpg"},
        {"file": "y.jpg", "captions": "four five"},
    ]
    path = photos / "list.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    found = read_list(path)
    assert found.captions == (("one", "two"), ("three",), (), ("four five",))
    assert found.paths[1] == photos / "below" / "1.jpg"
    (tmp_path / "list.jsonl").write_text(path.read_text())
    assert read_list(tmp_path / "list.jsonl", photos).paths == found.paths
    path.write_text('{"file": "a.jpg"}\n{"name": 3}\n')
    with pytest.raises(InvalidInput, match="line 2"):
        read_list(path)


def test_coco(photos: Path, tmp_path: Path, settings_of: Callable[..., Config]) -> None:
    about = {
        "images": [{"id": 9, "file_name": "0.jpg"}, {"id": 4, "file_name": "below/1.jpg"}],
        "annotations": [
            {"image_id": 9, "caption": "a boat "},
            {"image_id": 4, "caption": "a road"},
            {"image_id": 9, "caption": "the sea"},
        ],
    }
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(about))
    found = read_coco(photos, path)
    assert [p.name for p in found.paths] == ["1.jpg", "0.jpg"]
    assert found.captions == (("a road",), ("a boat", "the sea"))
    train(settings_of("data.kind=coco", f"data.path={photos}", f"data.captions={path}", "run.steps=1"))
    for text in ("[]", "{", '{"images": [], "annotations": []}', '{"images": [{"id": 1}], "annotations": []}'):
        path.write_text(text)
        with pytest.raises(InvalidInput):
            read_coco(photos, path)


def shard(path: Path, rows: list[dict[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for number, row in enumerate(rows):
            for suffix, data in row.items():
                about = tarfile.TarInfo(f"{path.stem}-{number:03}.{suffix}")
                about.size = len(data)
                tar.addfile(about, io.BytesIO(data))


def png(value: int, size: int = 64) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (size, size), (value, value, value)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Four shards of three photos each, grey 0 to 11, with captions; the first shard has bad ones too."""
    pytest.importorskip("webdataset")
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(4):
        values = range(3 * number, 3 * number + 3)
        rows = [{"png": png(v), "txt": f"grey {v}".encode()} for v in values]
        if not number:
            rows[0] = {"png": png(0), "json": json.dumps({"captions": ["grey 0"]}).encode()}
            rows += [{"png": b"no image"}, {"txt": b"no image"}, {"png": png(0, 32)}]
        shard(folder / f"s{number}.tar", rows)
    return folder


def test_shards(shards: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"{shards}/s{{0..3}}.tar"
    stream = iter(ShardSamples([url], Recipe(crop=64), buffer=5))
    rows = [next(stream) for _ in range(36)]
    values = [int(r.pixels[0, 0, 0]) for r in rows if r.pixels is not None]
    assert [r.caption for r in rows] == [f"grey {v}" for v in values]
    for epoch in range(3):
        assert sorted(values[12 * epoch : 12 * epoch + 12]) == list(range(12))
    assert len({tuple(values[12 * e : 12 * e + 12]) for e in range(3)}) == 3
    assert 6 <= sum(r.bad for r in rows) <= 9  # three an epoch; those at the end of the last are not reached
    assert "is left out" in caplog.text
    again = iter(ShardSamples([url], Recipe(crop=64), buffer=5))
    assert [next(again).seed for _ in range(12)] == [r.seed for r in rows[:12]]
    other = iter(ShardSamples([url], Recipe(crop=64), buffer=5, start=7))
    assert [next(other).seed for _ in range(12)] != [r.seed for r in rows[:12]]


def test_shards_are_dealt_out(shards: Path) -> None:
    url = f"{shards}/*.tar"
    parts = []
    for rank in range(2):
        stream = iter(ShardSamples([url], Recipe(crop=64), rank=rank, processes=2))
        parts.append({int(next(stream).pixels[0, 0, 0]) for _ in range(6)})
    assert parts[0] | parts[1] == set(range(12))
    assert not parts[0] & parts[1]
    with pytest.raises(InvalidInput, match=r"each of 5 readers .*, got 4"):
        next(iter(ShardSamples([url], Recipe(crop=64), processes=5)))
    with pytest.raises(PathError):
        expand_pattern(f"{shards}/none*.tar")


def test_shards_behind_a_url_and_damaged_ones(shards: Path, caplog: pytest.LogCaptureFixture) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in shards.glob("*.tar"):
        memory.pipe(f"/far/{path.name}", path.read_bytes())
    memory.pipe("/far/s9.tar", (shards / "s1.tar").read_bytes()[:700])
    stream = iter(ShardSamples(["memory://far/*.tar", "memory://far/gone.tar"], Recipe(crop=64)))
    # the damaged one may still have given its first photo
    assert {int(next(stream).pixels[0, 0, 0]) for _ in range(13)} == set(range(12))
    assert "gone.tar" in caplog.text
    memory.rm("/far", recursive=True)


@pytest.mark.parametrize("url", ["nowhere://bucket/a.tar", "nowhere://bucket/*.tar"])
def test_shards_behind_a_protocol_that_nobody_knows(url: str) -> None:
    pytest.importorskip("webdataset")
    with pytest.raises(InvalidInput, match="nowhere"):
        expand_pattern(url)


def test_a_run_on_shards(shards: Path, settings_of: Callable[..., Config]) -> None:
    config = settings_of("data.kind=shards", f"data.path={shards}/*.tar", "run.steps=4", "data.workers=1")
    assert stored(train(config))["tacit"]["steps"] == 4
    with pytest.raises(InvalidInput, match="epochs"):
        train(settings_of("data.kind=shards", f"data.path={shards}/*.tar", "run.steps=0", "run.epochs=1", out="b"))


def test_captions_drawn_and_joined() -> None:
    captions = ("a boat", "the sea!", " ")
    rng = np.random.default_rng(0)
    assert {draw_caption(captions[:2], rng, False) for _ in range(20)} == {"a boat", "the sea!"}
    assert draw_caption(captions, rng, True) == "a boat. the sea!"
    assert draw_caption((), rng, True) is None
    assert possible_captions([captions[:2], (), ("a boat",)], False) == ["a boat", "the sea!"]
    assert possible_captions([captions[:2], (), ("a boat",)], True) == ["a boat. the sea!", "a boat."]


def test_captions_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.training.dataset.embedding_files.MAX_FILE_SIZE", 20_000)
    captions = [f"a boat of {i} tons" for i in range(12)]
    cache = TokenCache("embedded", 256, tmp_path / "cache")
    assert cache.write([*captions, captions[0]]) == 12
    assert cache.write([*captions, "a new one"]) == 1
    pieces = sorted((tmp_path / "cache").iterdir())
    assert len(pieces) > 2
    assert all(p.stat().st_size < 25_000 for p in pieces)
    from tacit.text import encoders

    wanted = encoders.load_encoder("embedded")([captions[3], None, "a new one"])
    monkeypatch.setattr(encoders, "load_encoder", lambda name: pytest.fail("encoded again"))
    found = TokenCache("embedded", 256, tmp_path / "cache")([captions[3], None, "a new one"])
    assert torch.equal(found.mask, wanted.mask)
    assert torch.equal(found.embeddings, wanted.embeddings.half().float())
    with pytest.raises(CorruptWeights, match="clip with 512 channels"):
        TokenCache("clip", 512, tmp_path / "cache")(["a boat"])
    pieces[0].write_bytes(b"no")
    with pytest.raises(CorruptWeights):
        TokenCache("embedded", 256, tmp_path / "cache")(["a boat"])


def test_unknown_captions_are_encoded_once_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from tacit.text import encoders

    calls = []
    load = encoders.load_encoder("embedded")
    monkeypatch.setattr(encoders, "load_encoder", lambda name: lambda c: calls.append(c) or load(c))
    cache = TokenCache("embedded", 256)
    first = cache(["a boat", "a boat", None])
    assert torch.equal(cache(["a boat"]).embeddings[0], first.embeddings[0, : first.mask[0].sum()])
    assert calls == [["a boat"]]
    with pytest.raises(CorruptWeights, match="the model takes 512"):
        TokenCache("embedded", 512)(["a boat"])


def test_noise_is_an_images_own() -> None:
    like = torch.zeros(3, 5, 7, 11)
    seeds = torch.tensor([5, 2**61, 7])
    whole = uniform(like, seeds, 2)
    for i in range(3):
        assert torch.equal(uniform(like[i : i + 1], seeds[i : i + 1], 2)[0], whole[i])
    assert not torch.equal(uniform(like, seeds, 3), whole)
    many = uniform(torch.zeros(2, 100_000), torch.tensor([1, 2]), 0)
    assert -0.5 <= many.min() < -0.4999
    assert 0.4999 < many.max() < 0.5
    assert many.mean().abs() < 0.003
    assert abs(float(many.var()) * 12 - 1) < 0.01
    assert torch.corrcoef(many)[0, 1].abs() < 0.01
    assert torch.corrcoef(torch.stack([many[0, 1:], many[0, :-1]]))[0, 1].abs() < 0.01


# -- losses -----------------------------------------------------------------------------------------------------------


WORDS = ["<|startoftext|>", "<|endoftext|>", "a</w>", "boat</w>", "road</w>", "wave</w>", "grey</w>"]


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP with few channels and random weights, its tokenizer with it."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("clip")
    letters = list("abdeortvwgy")
    vocabulary = {token: i for i, token in enumerate([*WORDS, *letters, *(f"{c}</w>" for c in letters)])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**shape, "vocab_size": len(vocabulary), "max_position_embeddings": 16, "eos_token_id": 1, "bos_token_id": 0}
    config = transformers.CLIPConfig(
        text_config=text, vision_config={**shape, "image_size": 32, "patch_size": 16}, projection_dim=8
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.CLIPModel(config)
        for parameter in model.parameters():  # so that captions and pictures differ in their embeddings
            torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder)
    return folder


def alone(t: torch.Tensor) -> torch.Tensor:
    return t


def test_the_contrastive_loss_by_hand() -> None:
    images = torch.nn.functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    words = torch.nn.functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(1)), dim=1)
    logits = (math.exp(2.6592) * images @ words.T).double().numpy()
    by_image = -np.diag(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
    by_words = -np.diag(logits - np.log(np.exp(logits).sum(0, keepdims=True)))
    found = contrastive_loss(images, words, torch.ones(4))
    assert float(found) == pytest.approx((by_image.mean() + by_words.mean()) / 2, rel=1e-5)
    some = torch.tensor([1.0, 0, 1, 1])
    kept = [0, 2, 3]
    assert float(contrastive_loss(images, words, some)) == pytest.approx(
        float(contrastive_loss(images[kept], words[kept], torch.ones(3))), rel=1e-5
    )
    assert float(contrastive_loss(images, words, torch.zeros(4))) == 0


def test_the_joint_loss(clip_folder: Path) -> None:
    joint = ClipLoss(str(clip_folder), beta=40.0)
    x = torch.rand(3, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    captions = ["a boat", "a road", None]
    x_hat = (x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
    loss = joint(x_hat, x, captions, alone)
    loss.backward()
    assert x_hat.grad is not None
    assert x_hat.grad.abs().sum() > 0
    found, wanted, words = joint.image(x_hat), joint.image(x), joint.text(captions)
    assert torch.allclose(found.norm(dim=1), torch.ones(3))
    assert not torch.allclose(words[0], words[1], atol=1e-3)
    difference = found - wanted
    text = contrastive_loss(found, words, torch.tensor([1.0, 1, 0]))
    assert loss.item() == pytest.approx(float((text + 40 * difference.norm(dim=1).mean()).detach()), rel=1e-5)
    published = ClipLoss(str(clip_folder), beta=40.0, published=True)(x_hat, x, captions, alone)
    assert float(published.detach()) == pytest.approx(float((text + 40 * difference.norm()).detach()), rel=1e-5)
    assert float(joint(x, x, [None] * 3, alone)) == pytest.approx(0, abs=1e-4)


def test_clip_that_is_not_there(tmp_path: Path, clip_folder: Path) -> None:
    with pytest.raises(MissingWeights):
        ClipLoss(str(tmp_path / "none"))
    for path in clip_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(CorruptWeights):
        ClipLoss(str(tmp_path))


def test_every_term_has_its_weight(clip_folder: Path) -> None:
    torch.manual_seed(0)
    x, quality = torch.rand(2, 3, 64, 64), torch.tensor([0.0, 100.0])
    out = Forward(x + 0.1, torch.tensor([4096.0, 8192.0]), torch.tensor([0.0, 4096.0]))
    captions = ["a boat", "a road"]
    joint = ClipLoss(str(clip_folder))

    def distance(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([2.0, 4.0])

    def at(**weights: float) -> float:
        config = LossConfig(lambda_low=0.001, lambda_high=0.1, **weights)
        made = Loss(config, distance if config.perceptual else None, joint if config.joint else None)
        return float(made(out, x, quality, captions, alone).loss)

    plain = {"balance": 0.0, "rate": 0.0, "mse": 0.0}
    assert at(**{**plain, "rate": 1.0}) == pytest.approx((1 + 3) / 2)
    assert at(**{**plain, "mse": 1.0}) == pytest.approx(255**2 * 0.01 * (0.001 + 0.1) / 2, rel=1e-4)
    assert at(**{**plain, "perceptual": 3.5}) == pytest.approx(3.5 * 3)
    assert at(**{**plain, "perceptual": 3.5, "perceptual_growth": 1.0}) == pytest.approx(3.5 * (2 / 10 + 4 * 10) / 2)
    assert at(**{**plain, "joint": 0.5}) == pytest.approx(0.5 * float(joint(out.x_hat, x, captions, alone)), rel=1e-5)
    # lambda is a tenth and ten times that of the middle
    assert at(**{**plain, "rate": 1.0, "balance": 0.4}) == pytest.approx((10**0.4 + 3 * 10**-0.4) / 2, rel=1e-5)
    assert at(**plain) == 0


def test_a_run_with_every_term(
    settings_of: Callable[..., Config], clip_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def deep(config: LossConfig) -> Any:
        return lambda x_hat, x: (x_hat - x).abs().mean(dim=(1, 2, 3))

    monkeypatch.setattr("tacit.training.loss.load_distance", deep)
    state = stored(
        train(settings_of("run.steps=2", "loss.joint=0.0025", f"loss.clip={clip_folder}", "loss.perceptual=1"))
    )
    assert not [k for k in state["state_dict"] if not k.startswith("model.")]
    row = rows_of(tmp_path / "out")[-1]
    assert float(row["joint"]) > 0
    assert float(row["perceptual"]) > 0


def test_a_perceptual_network_that_is_not_there(
    settings_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match="SqueezeNet"):
        train(settings_of("loss.perceptual=1", "loss.perceptual_net=features"))


# -- elsewhere --------------------------------------------------------------------------------------------------------


# Lightning itself brings in what is installed of some of these, so it comes first.
BARE = """
import sys
import lightning.pytorch
for name in {blocked}:
    sys.modules[name] = None
from tacit.training.__main__ import main
sys.argv = ["train", *{arguments!r}]
status = main()
assert not status, status
"""
ELSEWHERE = ["constriction", "tokenizers", "click", "transformers", "webdataset", "tensorboard", "skimage"]


def test_prepared_photos_train_where_little_is_installed(
    photos: Path, settings_of: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepared = tmp_path / "prepared"
    (tmp_path / "large").mkdir()
    Image.fromarray(synthetic(256, 192)).save(tmp_path / "large" / "a.png")
    config = settings_of("data.kind=folder", f"data.path={photos}")
    assert prepare(config, prepared) == (3, 1)
    assert "narrow.png is left out: the image must be 64x64 pixels or larger, got 20x90" in caplog.text
    pool = read_bundle(prepared)
    assert [p.tolist() for p in pool.shapes] == [[90, 80]] * 3
    assert np.array_equal(pool.image(2), decode_image(photos / "below" / "2.jpg"))
    assert pool.captions == (("a boat",), (), ())
    there = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, kind="prepared", path=str(prepared)),
        validation=ValidationConfig(
            images=str(tmp_path / "large"), every=0, count=1, qualities=(50.0,), metrics=("psnr",)
        ),
        # sums of floats depend on the threads, and the two runs shall be equal
        run=dataclasses.replace(config.run, steps=2, out=str(tmp_path / "there"), threads=1),
    )
    path = tmp_path / "there.yaml"
    path.write_text(there.to_yaml())
    script = BARE.format(blocked=ELSEWHERE, arguments=[str(path)])
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "there")
    assert [r["step"] for r in rows if r["loss"]] == ["1", "2"]
    assert rows[-1]["val_q50_psnr"]
    estimated = float(rows[-1]["val_q50_bpp_estimated"])
    tuned = [str(path), "run.steps=1", f"run.out={tmp_path / 'tuned'}", "--from", str(tmp_path / "there" / "last.ckpt")]
    script = BARE.format(blocked=ELSEWHERE, arguments=tuned)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read_checkpoint(tmp_path / "tuned" / "last.ckpt").config["model"]["name"] == "tacit-s"  # type: ignore[index]
    here = dataclasses.replace(there, run=dataclasses.replace(there.run, out=str(tmp_path / "here")))
    train(here)
    real = rows_of(tmp_path / "here")
    assert [r["loss"] for r in real if r["loss"]] == [r["loss"] for r in rows if r["loss"]]
    assert estimated == pytest.approx(float(real[-1]["val_q50_bpp"]), rel=0.15)


def test_pieces_are_small(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = max(p.stat().st_size for p in photos.rglob("?.jpg"))
    monkeypatch.setattr("tacit.training.dataset.bundle.MAX_FILE_SIZE", largest)
    count = write_bundle(read_folder(photos), tmp_path / "p", 64, lambda name, reason: None)
    pieces = sorted((tmp_path / "p").glob("photos-*.bin"))
    assert count == 3
    assert len(pieces) > 1
    assert all(0 < p.stat().st_size <= largest for p in pieces)
    assert len(read_bundle(tmp_path / "p")) == 3
    pieces[0].write_bytes(pieces[0].read_bytes()[:-500])
    pieces[-1].write_bytes(b"\0" * largest)
    with pytest.raises(InvalidInput):
        read_bundle(tmp_path / "p")
    (tmp_path / "p" / "index.json").write_text("[")
    with pytest.raises(PathError):
        read_bundle(tmp_path / "p")


def test_two_processes_train_as_one(settings_of: Callable[..., Config], clip_folder: Path, tmp_path: Path) -> None:
    overrides = (
        "data.batch=4",
        "run.steps=4",
        "loss.joint=0.05",
        f"loss.clip={clip_folder}",
        "data.caption_dropout=0.2",
    )
    one = settings_of(*overrides, out="one")
    train(one)
    two = dataclasses.replace(
        one, run=dataclasses.replace(one.run, out=str(tmp_path / "two"), devices=2, strategy="ddp", accelerator="cpu")
    )
    path = tmp_path / "two.yaml"
    path.write_text(two.to_yaml())
    done = subprocess.run(
        [
            sys.executable,
            *["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tacit", "train"],
            str(path),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, second = rows_of(tmp_path / "one"), rows_of(tmp_path / "two")
    assert len(first) == len(second) == 4
    for a, b in zip(first, second, strict=True):
        for name in ("loss", "bpp", "psnr", "joint", "norm", "gigapixels", "learning_rate"):
            assert float(a[name]) == pytest.approx(float(b[name]), rel=2e-4), (name, a["step"])
    # the same weights but for the order of sums
    a, b = (stored(tmp_path / name / "last.ckpt")["state_dict"] for name in ("one", "two"))
    assert all(torch.allclose(a[k], b[k], atol=1e-4) for k in a)
