"""Folders of images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.evaluations import write_image
from tacit.evaluation.datasets import load_dataset


def test_a_folder_with_captions_beside_images_and_beside_itself(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for seed, name in enumerate(("b.png", "a.png", "deep/c.png")):
        write_image(folder / name, seed)
    (folder / "a.txt").write_text("sidecar\n")
    (tmp_path / "photos.jsonl").write_text(json.dumps({"file": "photos/b.png", "captions": ["first", "second"]}) + "\n")
    found = load_dataset(str(folder))
    assert found.name == "photos"
    assert {item.name: item.caption for item in found.images} == {
        "a.png": "sidecar",
        "b.png": "first",
        "deep/c.png": None,
    }
    assert len({item.sha256 for item in found.images}) == 3


@pytest.mark.parametrize("path", [".", "..", "../photos"])
def test_the_folder_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    write_image(tmp_path / "photos" / "deep" / "b.png")
    (tmp_path / "photos.jsonl").write_text(json.dumps({"file": "photos/deep/b.png", "captions": ["first"]}) + "\n")
    monkeypatch.chdir(tmp_path / "photos" / ("deep" if path == ".." else ""))
    found = load_dataset(path)
    assert found.name == "photos"
    assert [(item.name, item.caption) for item in found.images] == [("deep/b.png", "first")]


def test_a_folder_is_called_by_its_whole_name(tmp_path: Path) -> None:
    for name in ("v1.0", "v1.1"):
        write_image(tmp_path / name / "a.png")
        assert load_dataset(str(tmp_path / name)).name == name
    assert load_dataset(str(tmp_path / "v1.0" / "a.png")).name == "a"


def test_a_sidecar_that_cannot_be_a_caption_is_a_problem_of_itswrite_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / "set" / f"{name}.png")
    (tmp_path / "set" / "a.txt").write_bytes(b"\xff")
    found = load_dataset(str(tmp_path / "set"))
    assert [item.name for item in found.images] == ["b.png"]
    assert found.problems == {"a.png": f"{tmp_path / 'set' / 'a.txt'}: not UTF-8 (at byte 0)"}
