"""Images for evaluations, and one core for each of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from support.pictures import synthetic
from tacit.evaluation import runner, worker_pool


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's threads wait busily for each other where something else takes the cores, such as other tests."""
    for module in (runner, worker_pool):
        monkeypatch.setattr(module, "cores", lambda: 1)


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
def two(tmp_path: Path) -> Path:
    folder = tmp_path / "two"
    folder.mkdir()
    for name, width, height in (("small", 24, 20), ("wide", 176, 164)):
        Image.fromarray(synthetic(width, height)).save(folder / f"{name}.png")
    return folder
