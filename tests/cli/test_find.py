"""`tacit find`."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tacit import cli


@pytest.fixture
def source(tmp_path: Path) -> Path:
    pixels = np.full((128, 192, 3), (60, 130, 50), np.uint8)
    pixels[40:90, 100:160] = (200, 30, 30)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    return path


def test_what_is_found_is_drawn_and_said(source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "map.png"
    command = ["find", str(source), "a red box and a flibbertigibbet", "-o", str(target)]
    assert cli.main(command) == 0
    said = capfd.readouterr().out.splitlines()
    assert said[0].split("  ")[0] == "red box"
    assert "colour" in said[0]
    assert said[1] == "flibbertigibbet  not found"
    with Image.open(target) as drawing:
        drawn, before = np.asarray(drawing).astype(int), np.asarray(Image.open(source)).astype(int)
    assert np.abs(drawn - before)[50:80, 110:150].mean() < 8
    assert drawn[:20].mean() < 0.4 * before[:20].mean()
    assert cli.main(command) == 1
    assert "exists already" in capfd.readouterr().err


def test_json_and_a_caption_that_names_nothing(source: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["find", str(source), "the red box", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["found"] == ["red box"]
    assert said["missed"] == []
    assert said["things"] == [{"phrase": "red box", "cues": ["colour"], "sure": True}]
    assert cli.main(["find", str(source), "it is there"]) == 0
    assert "names nothing" in capfd.readouterr().out


def test_what_is_converted_is_said_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Image.new("CMYK", (32, 32)).save(tmp_path / "a.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["find", str(tmp_path / "a.tif"), "a box"]) == 0
    said = capfd.readouterr().err
    assert said.startswith("tacit: warning: ")
    assert "a.tif: CMYK is converted to RGB" in said
    assert len(said.splitlines()) == 1


def test_what_cannot_be_done_is_one_clear_line(source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["find", str(source), "a box", "-o", str(tmp_path / "map.xyz")]) == 2
    assert "must be that of an image format" in capfd.readouterr().err
    assert cli.main(["find", str(tmp_path / "none.png"), "a box"]) == 1
    assert "none.png" in capfd.readouterr().err
