"""Lists of images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.evaluations import write_image
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.datasets import load_dataset


def test_json_lines_and_their_problems(tmp_path: Path) -> None:
    write_image(tmp_path / "x" / "a.png")
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


def test_a_name_with_a_zero_byte_is_said(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "set.jsonl").write_text('{"file": "a\\u0000.png"}\n{"file": "a.png"}\n')
    found = load_dataset(str(tmp_path / "set.jsonl"))
    assert [item.name for item in found.images] == ["a.png"]
    assert found.problems == {"a\0.png": "cannot be read: embedded null byte"}


def test_two_rows_of_one_image_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "set.jsonl").write_text('{"file": "a.png"}\n{"file": "a.png"}\n')
    with pytest.raises(InvalidInput, match=r"two images are called a\.png"):
        load_dataset(str(tmp_path / "set.jsonl"))
