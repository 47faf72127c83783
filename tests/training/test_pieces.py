"""Weights in small files, which joined are read like a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support.tiny_models import TINY, tiny_model
from tacit.errors import CorruptWeights
from tacit.training import pieces
from tacit.training.checkpoint import Checkpoint
from tacit.training.starting_weights import load_float_model


def checkpoint() -> Checkpoint:
    state = tiny_model().state_dict()
    return Checkpoint(
        path=Path("last.ckpt"),
        architecture="tacit-s",
        model_config=TINY.as_dict(),
        model=state,
        average=state,
        adam_state=None,
        config={"run": {"seed": 0}},
        steps=7,
        pixels=70,
        seconds=3.0,
    )


def test_weights_in_pieces_are_read_when_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 100_000)
    files = pieces.write_weights(checkpoint(), tmp_path / "out" / "tiny.pt")
    assert len(files) > 1
    assert files == sorted((tmp_path / "out").iterdir())
    assert max(file.stat().st_size for file in files) == 100_000
    joined = tmp_path / "tiny.pt"
    joined.write_bytes(b"".join(file.read_bytes() for file in files))
    model = load_float_model(joined)
    for name, value in tiny_model().state_dict().items():
        assert torch.allclose(model.state_dict()[name], value, rtol=1e-3, atol=1e-4), name
    assert next(model.parameters()).dtype == torch.float32


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    broken = checkpoint()
    next(iter(broken.average.values())).fill_(float("nan"))
    with pytest.raises(CorruptWeights, match="must be finite"):
        pieces.write_weights(broken, tmp_path / "tiny.pt")
    assert not list(tmp_path.iterdir())
