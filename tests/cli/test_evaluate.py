"""`tacit eval` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.pictures import synthetic
from tacit import cli
from tacit.evaluation import results_file


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three images, two with captions; one of them too small for MS-SSIM."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, width, height, caption in (("a", 176, 164, "a hill"), ("b", 80, 64, None), ("tiny", 24, 20, "a dot")):
        Image.fromarray(synthetic(width, height, len(name))).save(folder / f"{name}.png")
        if caption:
            (folder / f"{name}.txt").write_text(caption)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = cli.main(["eval", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_the_command(run: Any, photos: Path, tmp_path: Path) -> None:
    status, _, err = run(
        photos, "-o", tmp_path / "out", "--codecs", "jpeg,webp", "--quality", "jpeg=20,60", "--points", 2, "-j", 1,
        "--crops", 0,
    )  # fmt: skip
    assert status == 0, err
    found = results_file.load(tmp_path / "out" / "results.json")
    assert {row.quality for row in found.measurements.rows if row.codec == "jpeg"} == {20, 60}
    assert {row.quality for row in found.measurements.rows if row.codec == "webp"} == {0, 94}
    assert found.command.startswith(f"tacit eval {photos} ")
    assert "100%" in err

    status, out, _ = run("--compare", tmp_path / "out" / "results.json", tmp_path / "out" / "results.json")
    assert status == 0
    assert "are the same on every image" in out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["photos"], 2, "Name a DATASET"),
        (["{photos}", "-o", "{out}", "--codecs", "jpg"], 2, "got 'jpg'"),
        (["{photos}", "-o", "{out}", "--quality", "jpeg"], 2, "must be CODEC=N"),
        (["{out}/none", "-o", "{out}"], 1, "no such file or folder"),
        (["--compare", "{out}/a.json", "{out}/b.json"], 1, "a.json"),
    ],
)
def test_wrong_usage_is_said(
    run: Any, arguments: list[str], status: int, said: str, photos: Path, tmp_path: Path
) -> None:
    found, _, err = run(*(a.format(photos=photos, out=tmp_path / "out") for a in arguments))
    assert found == status
    assert said in err
