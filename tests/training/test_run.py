"""Runs: begun, resumed, finished, interrupted, and from weights that exist."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from support.tiny_models import TINY_TACO, TINY_TACO_FIXED, tiny_taco
from support.training import (
    equal,
    first_script_checkpoint,
    load_state,
    log_rows,
)
from tacit import cli
from tacit.errors import InvalidInput, MissingWeights, PathError
from tacit.training import run
from tacit.training.checkpoint import read_checkpoint
from tacit.training.config import Config, LossConfig
from tacit.training.module import TrainingModule
from tacit.training.run import fine_tune, train


class Killed(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "fixed"),
    # Muon takes seconds a step for all matrices on processors without bf16, and no other state for some of them.
    [("adam", "[gain]"), ("muon", "[gain, entropy, synthesis]")],
)
def test_a_resumed_run_equals_one_that_never_stopped(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, fixed: str
) -> None:
    options = [f"optimizer.kind={kind}", "data.quality_maps=0.5", f"optimizer.fixed={fixed}"]
    whole = load_state(train(make_config(*options, out="whole")))
    again = make_config(*options, "run.checkpoint_minutes=1e-9", out="parts")
    step = TrainingModule.training_step

    def dying(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        if self.steps == 6:
            raise Killed
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", dying)
        with pytest.raises(Killed):
            train(again)
    assert load_state(tmp_path / "parts" / "last.ckpt")["tacit"]["steps"] == 5  # one step is lost
    parts = load_state(train(again))
    assert parts["tacit"]["steps"] == 8
    assert equal(whole["state_dict"], parts["state_dict"])
    assert equal(whole["callbacks"]["ema"], parts["callbacks"]["ema"])
    assert equal(whole["optimizer_states"], parts["optimizer_states"])
    assert whole["tacit"]["pixels"] == parts["tacit"]["pixels"] == 8 * 2 * 64 * 64
    first, last = log_rows(tmp_path / "whole"), log_rows(tmp_path / "parts", 1)
    assert [r["loss"] for r in first[5:]] == [r["loss"] for r in last]
    assert not list(tmp_path.rglob("*.tmp"))
    assert not equal(
        whole["state_dict"]["model.analysis.project.weight"],
        whole["callbacks"]["ema"]["model"]["analysis.project.weight"],
    )


@pytest.mark.slow
def test_training_learns(make_config: Callable[..., Config], tmp_path: Path) -> None:
    train(make_config("run.steps=40", "optimizer.learning_rate=3e-3"))
    losses = [float(row["loss"]) for row in log_rows(tmp_path / "out")]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_a_finished_run_is_left_alone(make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config("run.steps=1")
    last = train(config)
    before = last.read_bytes()
    monkeypatch.setattr(TrainingModule, "training_step", lambda *a: pytest.fail("went on"))
    assert train(config) == last
    assert last.read_bytes() == before


def test_an_interrupted_run_says_so(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(make_config("run.steps=3").to_yaml())
    handler = signal.getsignal(signal.SIGINT)

    def interrupted(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", interrupted)
        assert cli.main(["train", str(path)]) == 130
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (tmp_path / "out" / "last.ckpt").exists()


@pytest.mark.parametrize("override", ["optimizer.kind=muon", "optimizer.gains=3", "optimizer.quantile_rate=0.1"])
def test_a_run_goes_on_with_its_own_optimizer(make_config: Callable[..., Config], override: str) -> None:
    train(make_config("run.steps=1"))
    with pytest.raises(InvalidInput, match=override.split("=")[0]):
        train(make_config("run.steps=2", override))


@pytest.mark.parametrize(
    "override",
    ["run.precision=12", "run.accelerator=abacus", 'model.options={"knots": 1}', "data.cache=/dev/null/x"],
)
def test_what_cannot_be_run_is_refused(make_config: Callable[..., Config], override: str) -> None:
    with pytest.raises((InvalidInput, PathError)):
        train(make_config(override))


@pytest.mark.slow
def test_taco_trains_with_its_quantiles(make_config: Callable[..., Config], tmp_path: Path) -> None:
    options = json.dumps(TINY_TACO.as_dict())
    taco = ("model.name=taco", "model.start=random", f"model.options={options}", "run.steps=1")
    before = train(make_config(*taco, out="without"))
    after = train(make_config(*taco, "optimizer.quantile_rate=1e-1", out="with"))
    start = [[-10.0, 0.0, 10.0]] * TINY_TACO.width
    assert load_state(before)["state_dict"]["model.prior.quantiles"][:, 0].tolist() == start
    moved = load_state(after)["state_dict"]["model.prior.quantiles"][:, 0]
    assert ((moved - torch.tensor(start)).abs() > 0.05).all()
    # of nothing else does their loss take notice
    a, b = (load_state(path)["state_dict"] for path in (before, after))
    assert all(torch.equal(a[k], b[k]) for k in a if k != "model.prior.quantiles")


def test_fine_tuning_begins_with_the_weights(make_config: Callable[..., Config], tmp_path: Path) -> None:
    path = first_script_checkpoint(tmp_path / "last.pt", 700)
    state = load_state(fine_tune(make_config("run.steps=1", "optimizer.learning_rate=0", "model.options={}"), path))
    assert state["tacit"]["steps"] == 1
    average = read_checkpoint(path).average
    assert torch.equal(state["state_dict"]["model.analysis.project.weight"], average["analysis.project.weight"])


@pytest.mark.slow
def test_a_run_that_was_begun_goes_on_and_says_so(
    make_config: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = first_script_checkpoint(tmp_path / "last.pt", 700)
    for steps in (1, 2):
        state = load_state(fine_tune(make_config(f"run.steps={steps}", "model.options={}"), path))
        assert state["tacit"]["steps"] == steps
        assert (f"{path} is not read" in caplog.text) == (steps == 2)


@pytest.mark.slow
def test_fine_tuning_from_a_published_checkpoint(
    make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "taco.pth.tar"
    path.touch()
    fixed = tiny_taco(TINY_TACO_FIXED).eval()
    monkeypatch.setattr("tacit.models.taco_import.read_published", lambda path: {})
    monkeypatch.setattr("tacit.models.taco_import.load_published", lambda state: fixed)
    before = {k: v.clone() for k, v in fixed.state_dict().items()}
    found = read_checkpoint(fine_tune(make_config("run.steps=1", "optimizer.quantile_rate=1e-3"), path))
    assert fixed.training  # or noise would not stand for rounding
    assert found.architecture == "taco"
    moved = [k for k, v in found.model.items() if not torch.equal(v, before[k])]
    assert {k.split(".")[0] for k in moved} == {"analysis", "synthesis", "hyper_analysis", "entropy", "prior"}


def test_a_run_with_every_term(
    make_config: Callable[..., Config], whole_clip_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def deep(config: LossConfig) -> Any:
        return lambda x_hat, x: (x_hat - x).abs().mean(dim=(1, 2, 3))

    monkeypatch.setattr("tacit.training.loss.load_distance", deep)
    state = load_state(
        train(make_config("run.steps=2", "loss.joint=0.0025", f"loss.clip={whole_clip_folder}", "loss.perceptual=1"))
    )
    assert not [k for k in state["state_dict"] if not k.startswith("model.")]
    row = log_rows(tmp_path / "out")[-1]
    assert float(row["joint"]) > 0
    assert float(row["perceptual"]) > 0


def test_a_perceptual_network_that_is_not_there(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingWeights, match="SqueezeNet"):
        train(make_config("loss.perceptual=1", "loss.perceptual_net=features"))


@pytest.mark.slow
def test_a_run_with_the_pool_on_the_device_equals_one_without(make_config: Callable[..., Config]) -> None:
    a = load_state(train(make_config("run.steps=2", out="a")))
    b = load_state(train(make_config("run.steps=2", "data.on_device=true", out="b")))
    assert equal(a["state_dict"], b["state_dict"])


@pytest.mark.slow
def test_workers_change_nothing(make_config: Callable[..., Config]) -> None:
    a = load_state(train(make_config("run.steps=2", out="a")))
    b = load_state(train(make_config("run.steps=2", "data.workers=1", out="b")))
    assert equal(a["state_dict"], b["state_dict"])


def test_an_error_in_a_worker_is_told_as_it_is(tmp_path: Path, make_config: Callable[..., Config]) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"no")
    config = make_config("data.kind=folder", f"data.path={tmp_path / 'bad'}", "data.workers=1", "model.start=random")
    with pytest.raises(InvalidInput) as caught:
        train(config)
    assert str(caught.value) == f"100 bad images in a row, the last {tmp_path / 'bad' / 'x.png'}"


@pytest.mark.slow
def test_a_run_on_shards(
    image_shards: Path, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "KLT_CROPS", 100)
    config = make_config("data.kind=shards", f"data.path={image_shards}/*.tar", "run.steps=4", "data.workers=1")
    assert load_state(train(config))["tacit"]["steps"] == 4
    with pytest.raises(InvalidInput, match="epochs"):
        train(
            make_config("data.kind=shards", f"data.path={image_shards}/*.tar", "run.steps=0", "run.epochs=1", out="b")
        )
