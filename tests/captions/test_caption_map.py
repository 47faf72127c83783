"""How an image finds its caption in a list."""

from __future__ import annotations

import json
from pathlib import Path

from tacit.captions import CaptionMap


def save_map(folder: Path, name: str, text: str) -> CaptionMap:
    (folder / name).write_text(text, encoding="utf-8")
    return CaptionMap.load(folder / name)


def test_the_path_goes_before_the_name_and_the_name_before_the_stem(tmp_path: Path) -> None:
    captions = {"x/a.jpg": "path", "a.jpg": "name", "a": "stem"}
    mapping = save_map(tmp_path, "map.json", json.dumps(captions))
    assert mapping.find(tmp_path / "x" / "a.jpg") == "path"
    assert mapping.find(tmp_path / "y" / "a.jpg") == "name"
    assert mapping.find(tmp_path / "y" / "a.webp") == "stem"


def test_a_map_that_moved_is_matched_by_unique_names(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.json", '{"train/a.jpg": "a", "train/b.jpg": "b", "val/b.jpg": "another b"}')
    assert mapping.find("/elsewhere/a.jpg") == "a"
    assert mapping.find("/elsewhere/a.png") == "a"
    assert mapping.find("/elsewhere/b.jpg") is None, "two captions have that name; neither is guessed"
    assert mapping.find(tmp_path / "val" / "b.jpg") == "another b"


def test_a_dot_in_a_stem_is_no_suffix(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.json", '{"photo.v2": "second version"}')
    assert mapping.find(tmp_path / "photo.v2.jpg") == "second version"
    assert mapping.find(tmp_path / "photo.jpg") is None


def test_keys_may_be_absolute_or_have_decomposed_accents(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.json", json.dumps({str(tmp_path / "s" / "a.jpg"): "a", "cafe\u0301.jpg": "e"}))
    assert mapping.find(tmp_path / "s" / "a.jpg") == "a"
    assert mapping.find(tmp_path / "caf\u00e9.jpg") == "e"


def test_the_first_of_several_rows_counts(tmp_path: Path) -> None:
    rows = '{"file": "a.jpg", "caption": ""}\n{"file": "a.jpg", "caption": "one"}\n{"file": "a.jpg", "caption": "two"}'
    assert save_map(tmp_path, "map.jsonl", rows).find(tmp_path / "a.jpg") == "one"
