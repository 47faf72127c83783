"""Data sets by name, by folder and by list."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from support.evaluations import write_image
from support.pictures import synthetic
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.datasets import load_dataset


def test_an_empty_set_is_refused_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no image file in this folder"):
        load_dataset(str(tmp_path / "empty"))
    with pytest.raises(PathError, match="no such file or folder"):
        load_dataset(str(tmp_path / "missing"))
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InvalidInput, match="no images in it"):
        load_dataset(str(tmp_path / "empty.jsonl"))
    (tmp_path / "gone.jsonl").write_text('{"file": "gone.png"}')
    with pytest.raises(InvalidInput, match=r"gone\.png: cannot be read"):
        load_dataset(str(tmp_path / "gone.jsonl"))


def test_a_map_of_captions_takes_the_place_of_the_sets_own(tmp_path: Path) -> None:
    write_image(tmp_path / "p" / "a.png")
    (tmp_path / "p" / "a.txt").write_text("sidecar")
    (tmp_path / "map.json").write_text('{"a.png": "from the map"}')
    (item,) = load_dataset(str(tmp_path / "p"), captions=tmp_path / "map.json").images
    assert item.caption == "from the map"
    (tmp_path / "map.json").write_text('{"b.png": "another"}')
    (item,) = load_dataset(str(tmp_path / "p"), captions=tmp_path / "map.json").images
    assert item.caption is None  # not guessed, and not mixed with the sidecar's


def test_a_named_set_alone_is_that_of_tacit_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "kodak"
    folder.mkdir(parents=True)
    Image.fromarray(synthetic(20, 16)).save(folder / "kodim07.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TACIT_DATA", raising=False)
    with pytest.raises(InvalidInput, match=r"kodak:PATH, or set TACIT_DATA to the folder that has kodak/"):
        load_dataset("kodak")
    monkeypatch.setenv("TACIT_DATA", str(tmp_path / "data"))
    found = load_dataset("kodak")
    assert (found.name, [item.name for item in found.images]) == ("Kodak", ["kodim07.png"])
    with pytest.raises(PathError, match="clic"):
        load_dataset("clic")
    (tmp_path / "kodak").mkdir()
    Image.fromarray(synthetic(20, 16)).save(tmp_path / "kodak" / "mine.png")
    assert load_dataset("kodak").images[0].name == "mine.png"  # a folder of that name is meant first
