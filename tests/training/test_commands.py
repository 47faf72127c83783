"""`tacit train`, `fine-tune` and `export`, and `python -m tacit.training`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tacit import cli, weights
from tacit.training import config as configurations
from tacit.training.__main__ import main
from tacit.training.checkpoint import read_checkpoint
from tacit.training.config import Config


@pytest.mark.slow
def test_the_command_line(
    make_config: Callable[..., Config], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config("run.steps=1", "data.crop=64")
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


def test_overrides_may_stand_behind_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[tuple[Config, str]] = []

    def fine_tune(config: Config, source: str) -> Path:
        begun.append((config, source))
        return tmp_path / "last.ckpt"

    monkeypatch.setattr("tacit.training.run.fine_tune", fine_tune)
    arguments = ["tacit.training", "smoke", "run.steps=7", "--from", "some.safetensors", "data.batch=3"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 0
    ((config, source),) = begun
    assert (config.run.steps, config.data.batch, source) == (7, 3, "some.safetensors")
    assert capsys.readouterr().out == f"{tmp_path / 'last.ckpt'}\n"
    monkeypatch.setattr(sys, "argv", [*arguments, "run.stepz=1"])
    assert main() == 1
    assert "run.stepz: no such key" in capsys.readouterr().err
