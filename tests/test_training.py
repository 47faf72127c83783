"""Training: configurations, samples, losses, checkpoints, resuming, and runs on more than one process."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from conftest import TINY, synthetic
from tacit.data.pool import build_pool

pytest.importorskip("lightning.pytorch")

from tacit.training import config as configurations
from tacit.training.config import Config
from tacit.training.fit import train
from tacit.training.module import TrainingModule

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


# -- a run --------------------------------------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for whatever ends a process."""


def test_a_resumed_run_equals_one_that_never_stopped(
    settings_of: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = stored(train(settings_of(out="whole")))
    again = settings_of("run.checkpoint_minutes=1e-9", out="parts")
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
