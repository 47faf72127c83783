"""`tacit study` and `tacit map`."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from support.pictures import synthetic
from tacit import cli


def test_the_command_refuses_what_it_cannot_do(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_DATA", str(tmp_path))
    for arguments, said in (
        (["nowhere.yaml", "-o", "x"], "in the package: captions, oracle, small, steering, survive, sweep"),
        (["captions"], "-o/--output"),
        (["captions", "-o", "x", "rotations=0"], "rotations must be at least 1, got 0"),
        (["captions", "-o", "x", "steer=[0, 101]"], "steer must be 0 to 100"),
        (["steering", "-o", "x", "steer=-1"], "steer must be 0 to 100"),
        (["captions", "-o", str(tmp_path / "x")], "none of the study's sets"),
    ):
        assert cli.main(["study", *arguments]) in (1, 2)
        assert said in capfd.readouterr().err
    assert cli.main(["study", "captions", "--print-config"]) == 0
    assert "kodak:${TACIT_DATA}/kodak" in capfd.readouterr().out


def test_the_map_command(tiny_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "image.png", tmp_path / "map.png"
    Image.fromarray(synthetic(96, 80)).save(source)
    command = ["map", str(source), "-m", str(tiny_weights), "-o", str(target), "-c", "a red boat"]
    assert cli.main(command) == 0
    with Image.open(target) as picture:
        assert picture.width > 1000
    assert cli.main(command) == 1
    assert "exists already" in capfd.readouterr().err
    assert cli.main([*command, "-f", "-q", "101"]) == 2
    assert cli.main(["map", str(source), "-o", str(tmp_path / "map.xyz")]) == 2
    assert cli.main(["map", str(tmp_path / "none.png"), "-o", str(tmp_path / "m.png")]) == 1
    assert not (tmp_path / "m.png").exists()
