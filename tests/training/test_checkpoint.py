"""Checkpoints: old ones go on, and what is none is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from support.training import (
    first_script_checkpoint,
    load_state,
)
from tacit.errors import CorruptWeights, InvalidInput, PathError
from tacit.training import export as exporting
from tacit.training.checkpoint import read_checkpoint
from tacit.training.config import Config
from tacit.training.run import train


@pytest.mark.slow
def test_checkpoints_of_the_first_days_go_on(
    make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = first_script_checkpoint(tmp_path / "last.pt", 700)
    found = read_checkpoint(path)
    assert found.adam_state is not None
    wanted = found.adam_state["analysis.project.weight"]["exp_avg"]
    assert wanted.abs().sum() > 0
    quiet = ("optimizer.learning_rate=0", "optimizer.ema=1")
    last = train(make_config("run.steps=702", *quiet), resume=path)
    state = load_state(last)
    assert state["tacit"]["steps"] == 702
    assert state["tacit"]["pixels"] == 1_000_000 + 2 * 2 * 64 * 64
    assert torch.equal(state["state_dict"]["model.analysis.project.weight"], found.model["analysis.project.weight"])
    again = load_state(train(make_config("run.steps=703", *quiet), resume=path))  # from its own checkpoint now
    assert again["tacit"]["steps"] == 703
    names = [n for n, _ in found.trained_model().named_parameters() if n != "prior.quantiles"]
    adam = state["optimizer_states"][0]["state"][names.index("analysis.project.weight")]
    assert adam["step"] == 3
    monkeypatch.setattr(exporting, "CROP_SIZE", 64)
    exporting.export(path, tmp_path / "x.safetensors", images=Path(make_config().data.path))
    with pytest.raises(InvalidInput, match="images must be given"):
        exporting.export(path, tmp_path / "y.safetensors")


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(PathError):
        read_checkpoint(tmp_path / "missing.ckpt")
    for data in (b"", b"not a file of torch", b"PK\x03\x04"):
        (tmp_path / "x.ckpt").write_bytes(data)
        with pytest.raises(CorruptWeights):
            read_checkpoint(tmp_path / "x.ckpt")
    contents: list[Any] = [{"state_dict": {}}, [1], {"config": {}, "model": {}}]
    for content in contents:
        torch.save(content, tmp_path / "x.ckpt")
        with pytest.raises(CorruptWeights):
            read_checkpoint(tmp_path / "x.ckpt")
