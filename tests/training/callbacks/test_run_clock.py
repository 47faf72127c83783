"""The time of a run, and its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.training import (
    load_state,
)
from tacit.errors import PathError
from tacit.training.config import Config
from tacit.training.run import train


def test_time_ends_a_run(make_config: Callable[..., Config], tmp_path: Path) -> None:
    config = make_config("run.steps=0", "run.minutes=1e-9")
    state = load_state(train(config))
    assert state["tacit"]["steps"] == 5  # the first look at the clock
    assert state["tacit"]["seconds"] > 0
    train(config)
    assert load_state(tmp_path / "out" / "last.ckpt")["tacit"]["steps"] == 5


def test_a_checkpoint_that_cannot_be_written_is_named(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr("lightning.pytorch.Trainer.save_checkpoint", full)
    with pytest.raises(PathError, match=r"last\.ckpt: the checkpoint cannot be written"):
        train(make_config("run.steps=1"))
