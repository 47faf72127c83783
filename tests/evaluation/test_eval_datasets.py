"""Sets of images: folders, lists, and those that papers use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from support.pictures import synthetic
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.datasets import load_dataset


def _image(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(synthetic(24, 16, seed)).save(path)
    return path


def test_a_folder_with_captions_beside_images_and_beside_itself(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for seed, name in enumerate(("b.png", "a.png", "deep/c.png")):
        _image(folder / name, seed)
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


def test_json_lines_and_their_problems(tmp_path: Path) -> None:
    _image(tmp_path / "x" / "a.png")
    rows = [{"file": "x/a.png", "caption": "one"}, {"file": "x/none.png"}]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    found = load_dataset(str(tmp_path / "set.jsonl"))
    assert [(i.name, i.caption) for i in found.images] == [("x/a.png", "one")]
    assert found.problems == {"x/none.png": "cannot be read: No such file or directory"}

    for text, said in (
        ("{", "line 1: not JSON"),
        ('{"f": 1}', "f: a caption must be a text"),
        ('{"file": "a", "caption": 1}', "a caption must be a text"),
    ):
        (tmp_path / "bad.jsonl").write_text(text)
        with pytest.raises(InvalidInput, match=said):
            load_dataset(str(tmp_path / "bad.jsonl"))
    with pytest.raises(PathError):
        load_dataset(str(tmp_path / "missing.jsonl"))


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


def test_a_name_with_a_zero_byte_is_said(tmp_path: Path) -> None:
    _image(tmp_path / "a.png")
    (tmp_path / "set.jsonl").write_text('{"file": "a\\u0000.png"}\n{"file": "a.png"}\n')
    found = load_dataset(str(tmp_path / "set.jsonl"))
    assert [item.name for item in found.images] == ["a.png"]
    assert found.problems == {"a\0.png": "cannot be read: embedded null byte"}


def test_a_folder_is_called_by_its_whole_name(tmp_path: Path) -> None:
    for name in ("v1.0", "v1.1"):
        _image(tmp_path / name / "a.png")
        assert load_dataset(str(tmp_path / name)).name == name
    assert load_dataset(str(tmp_path / "v1.0" / "a.png")).name == "a"


def test_two_rows_of_one_image_are_refused(tmp_path: Path) -> None:
    _image(tmp_path / "a.png")
    (tmp_path / "set.jsonl").write_text('{"file": "a.png"}\n{"file": "a.png"}\n')
    with pytest.raises(InvalidInput, match=r"two images are called a\.png"):
        load_dataset(str(tmp_path / "set.jsonl"))


def test_a_map_of_captions_takes_the_place_of_the_sets_own(tmp_path: Path) -> None:
    _image(tmp_path / "p" / "a.png")
    (tmp_path / "p" / "a.txt").write_text("sidecar")
    (tmp_path / "map.json").write_text('{"a.png": "from the map"}')
    (item,) = load_dataset(str(tmp_path / "p"), captions=tmp_path / "map.json").images
    assert item.caption == "from the map"
    (tmp_path / "map.json").write_text('{"b.png": "another"}')
    (item,) = load_dataset(str(tmp_path / "p"), captions=tmp_path / "map.json").images
    assert item.caption is None  # not guessed, and not mixed with the sidecar's


def test_kodak_is_checked_to_be_whole(tmp_path: Path) -> None:
    for i in (1, 2):
        _image(tmp_path / "k" / f"kodim{i:02}.png", i)
    _image(tmp_path / "k" / "other.png")
    found = load_dataset(f"kodak:{tmp_path / 'k'}", limit=1)
    assert found.name == "Kodak"
    assert [item.name for item in found.images] == ["kodim01.png"]
    assert "22 of Kodak's 24 images are missing: kodim03.png" in found.notes[0]
    assert found.notes[1] == "the first 1 of 2 images"


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


def test_whole_kodak_needs_no_note(kodak: list[Path]) -> None:
    found = load_dataset(f"Kodak:{kodak[0].parent}")
    assert len(found.images) == 24
    assert found.notes == ()
    assert all(item.caption for item in found.images)


def test_clic_is_the_png_files_of_a_folder(tmp_path: Path) -> None:
    _image(tmp_path / "valid" / "a.png")
    _image(tmp_path / "valid" / "thumb.jpg")
    found = load_dataset(f"clic:{tmp_path}")
    assert (found.name, [item.name for item in found.images]) == ("CLIC", ["valid/a.png"])


def test_coco_takes_the_first_caption_of_each_image(tmp_path: Path) -> None:
    _image(tmp_path / "val2014" / "one.jpg")
    content = {
        "images": [{"id": 7, "file_name": "one.jpg"}, {"id": 8, "file_name": "two.jpg"}],
        "annotations": [
            {"id": 5, "image_id": 7, "caption": "later"},
            {"id": 4, "image_id": 7, "caption": "A  dog\n"},
            {"id": 6, "image_id": 8, "caption": "not here"},
        ],
    }
    (tmp_path / "annotations").mkdir()
    file = tmp_path / "annotations" / "captions_val2014.json"
    file.write_text(json.dumps(content))
    for source in (tmp_path, file):
        found = load_dataset(f"coco:{source}")
        assert [(i.name, i.caption) for i in found.images] == [("one.jpg", "A dog")]
        assert found.notes == ("1 images of 2 in COCO's lists are not there",)
    file.write_text('{"images": []}')
    with pytest.raises(InvalidInput, match="not COCO's captions"):
        load_dataset(f"coco:{tmp_path}")
    with pytest.raises(InvalidInput, match="must hold annotations"):
        load_dataset(f"coco:{tmp_path / 'val2014'}")


def test_a_sidecar_that_cannot_be_a_caption_is_a_problem_of_its_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _image(tmp_path / "set" / f"{name}.png")
    (tmp_path / "set" / "a.txt").write_bytes(b"\xff")
    found = load_dataset(str(tmp_path / "set"))
    assert [item.name for item in found.images] == ["b.png"]
    assert found.problems == {"a.png": f"{tmp_path / 'set' / 'a.txt'}: not UTF-8 (at byte 0)"}
