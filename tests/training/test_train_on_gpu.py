"""The prepared run: a trunk, branches from its state, and weights in pieces."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

from support.paths import ROOT
from support.tiny_models import TINY
from tacit.training import config as configurations
from tacit.training.checkpoint import read_checkpoint
from tacit.training.preparation import prepare
from tacit.training.starting_weights import load_float_model


@pytest.mark.slow
def test_a_trunk_and_its_branches(tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = tmp_path / "prepared"
    config = configurations.read("smoke", ["data.kind=folder", f"data.path={image_folder}", "data.crop=64"])
    prepare(config, prepared)
    monkeypatch.syspath_prepend(str(ROOT))
    script = importlib.import_module("scripts.train_on_gpu")
    command = [
        "train_on_gpu",
        *(str(prepared), "--config", "tacit-s", "--trunk", "0.05", "--branch", "plain", "0.05"),
        *("--branch", "progressive", "0.05", "loss.partial=0.5"),
        *("--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--set"),
        *(f"model.options={json.dumps(TINY.as_dict())}", "model.start=random", "run.step=device", "data.crop=64"),
        *("data.batch=1", "run.precision=32-true", "run.progress=false"),
    ]
    monkeypatch.setattr(sys, "argv", command)
    assert script.main() == 0
    trunk, plain, progressive = (
        read_checkpoint(tmp_path / "work" / name / "last.ckpt") for name in ("trunk", "plain", "progressive")
    )
    assert (trunk.steps, plain.steps, progressive.steps) == (5, 10, 10)
    assert progressive.config is not None
    assert progressive.config["loss"]["partial"] == 0.5
    written = load_float_model((tmp_path / "out" / "plain.pt.00").rename(tmp_path / "plain.pt"))
    for name, value in plain.averaged_model().state_dict().items():
        assert torch.allclose(written.state_dict()[name], value, rtol=1e-3, atol=1e-4), name

    before = (tmp_path / "work" / "plain" / "last.ckpt").read_bytes()
    assert script.main() == 0  # nothing is left to do
    assert (tmp_path / "work" / "plain" / "last.ckpt").read_bytes() == before
