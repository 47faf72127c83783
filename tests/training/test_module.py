"""The training step: what is not finite is skipped."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from support.training import (
    load_state,
    log_rows,
)
from tacit.errors import TacitError
from tacit.training.config import Config
from tacit.training.module import TrainingModule
from tacit.training.run import train


@pytest.mark.slow
def test_steps_that_are_not_finite_change_nothing_and_are_counted(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step = TrainingModule.training_step
    seen: list[torch.Tensor] = []

    def broken(self: TrainingModule, batch: Any, batch_idx: int) -> Any:
        seen.append(self.model.get_parameter("analysis.project.weight").detach().clone())
        loss = step(self, batch, batch_idx)
        return loss * float("nan") if self.steps in (2, 3) else loss

    monkeypatch.setattr(TrainingModule, "training_step", broken)
    state = load_state(train(make_config("run.steps=6")))
    assert state["tacit"]["skipped"] == 2
    changed = [not torch.equal(a, b) for a, b in pairwise(seen)]
    assert changed == [True, True, False, False, True]
    assert all(p.isfinite().all() for p in state["state_dict"].values())
    assert log_rows(tmp_path / "out")[-1]["skipped"] == "2"


@pytest.mark.slow
def test_a_hopeless_run_ends(make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.training.module.MAX_SKIPPED", 3)
    with pytest.raises(TacitError, match="not finite"):
        train(make_config("loss.rate=.inf", "run.steps=20"))
