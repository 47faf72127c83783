"""Export of checkpoints to weights files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tacit import weights
from tacit.training import export as exporting
from tacit.training.checkpoint import read_checkpoint
from tacit.training.config import Config
from tacit.training.run import train


@pytest.mark.slow
def test_export_takes_the_average(make_config: Callable[..., Config], tmp_path: Path) -> None:
    last = train(make_config("run.steps=3", "optimizer.learning_rate=1e-2"))
    found = read_checkpoint(last)
    out = tmp_path / "x.safetensors"
    exporting.export(last, out)
    gain = weights.load(out).float_model.get_parameter("gain.log_gain")
    assert torch.equal(gain, found.average["gain.log_gain"])
    assert not torch.equal(gain, found.model["gain.log_gain"])
