"""Lists of boxes, in the forms that detectors and labelling tools write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tacit.errors import InvalidInput, PathError
from tacit.finding.box_map import BoxMap


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_rows_of_a_jsonl_file(tmp_path: Path) -> None:
    rows = [
        {"file": "in/a.jpg", "boxes": [[40, 30, 120, 80], {"xyxy": [1, 2, 3, 4]}, {"yolo": [0.5, 0.5, 0.5, 1]}]},
        {"file": "b.jpg", "boxes": []},
        {"file": "in/a.jpg", "boxes": [{"bbox": [0, 0, 9, 9.5], "score": 0.4}]},
    ]
    boxes = BoxMap.load(written(tmp_path, "boxes.jsonl", "\n".join(map(json.dumps, rows))))
    expected = ((40, 30, 160, 110), (1, 2, 3, 4), (50, 0, 150, 100), (0, 0, 9, 9.5))
    for path in (tmp_path / "in" / "a.jpg", tmp_path / "elsewhere" / "a.jpg", tmp_path / "a.png"):
        assert boxes.find(path, "a boat", 200, 100) == expected
    assert boxes.find(tmp_path / "b.jpg", None, 200, 100) == ()
    assert boxes.find(tmp_path / "c.jpg", None, 200, 100) is None
    assert BoxMap.load(written(tmp_path, "b.json", rows)).find("a.jpg", None, 200, 100) == expected


def test_labels_count_where_the_caption_names_them(tmp_path: Path) -> None:
    row = {
        "file": "a.jpg",
        "boxes": [
            {"box": [0, 0, 1, 1], "label": "dog"},
            {"box": [0, 0, 2, 2], "label": "fire hydrant"},
            {"box": [0, 0, 3, 3], "category": "traffic_light"},
            [0, 0, 4, 4],
        ],
    }
    boxes = BoxMap.load(written(tmp_path, "boxes.jsonl", row))

    def named(caption: str | None) -> list[float]:
        return [box[2] for box in boxes.find("a.jpg", caption, 9, 9) or ()]

    assert named(None) == [1, 2, 3, 4]
    assert named("two brown dogs") == [1, 4]
    assert named("a dog beside a red fire hydrant") == [1, 2, 4]
    assert named("the traffic lights") == [3, 4]
    assert named("a boat") == [4]


def test_annotations_of_coco(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"image_id": 7, "bbox": [1, 2, 3, 4], "category_id": 1, "iscrowd": 0},
            {"image_id": 7, "bbox": [5, 5, 5, 5], "category_id": 2},
        ],
    }
    boxes = BoxMap.load(written(tmp_path, "instances.json", content))
    assert boxes.find("a.jpg", "a cat", 50, 50) == ((5, 5, 10, 10),)
    assert boxes.find("a.jpg", None, 50, 50) == ((1, 2, 4, 6), (5, 5, 10, 10))
    assert boxes.find("b.jpg", None, 50, 50) == ()


def test_a_folder_of_yolo(tmp_path: Path) -> None:
    written(tmp_path, "labels/a.txt", "1 0.5 0.5 0.5 1\n0 0.25 0.25 0.5 0.5 0.93\n\n")
    written(tmp_path, "labels/classes.txt", "dog\ncat\n")
    boxes = BoxMap.load(tmp_path / "labels")
    assert boxes.find(tmp_path / "images" / "a.jpg", "the dog", 200, 100) == ((0, 0, 100, 50),)
    assert boxes.find("a.jpg", "the cat", 200, 100) == ((50, 0, 150, 100),)
    assert boxes.find("classes.jpg", None, 200, 100) is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.csv", "", "must be in a folder or a file that ends in .json, .jsonl, .ndjson"),
        ("b.jsonl", '{"file": "a.jpg"}', 'line 1: a row must have "file" and a list of "boxes"'),
        ("b.jsonl", "[", "line 1: not JSON"),
        ("b.jsonl", {"file": "a", "boxes": [[1, 2, 3]]}, r"line 1: a box must be four numbers, got \[1, 2, 3\]"),
        ("b.jsonl", {"file": "a", "boxes": [{"label": "x"}]}, "a box must be four numbers, got null"),
        ("b.jsonl", {"file": "a", "boxes": [[1, 2, 3, float("nan")]]}, "a box must be four numbers"),
        ("b.json", {"a.jpg": [1]}, "must be a list of rows"),
        (
            "b.json",
            {"images": [], "annotations": [{"image_id": 3, "bbox": [1, 1, 1, 1]}]},
            "1: the file has no image 3",
        ),
        ("b.json", {"images": [], "annotations": [{"image_id": 3}]}, 'annotation 1: must have "image_id" and "bbox"'),
        ("b.json", {"images": [], "annotations": [[1, 2]]}, "not COCO's annotations"),
        ("b.json", {"images": [{}], "annotations": []}, "not COCO's annotations"),
        ("y/a.txt", "dog 0 0 0 0", 'line 1: must be "class x y width height"'),
        ("y/a.txt", "1 10 20 30 40", "in shares of the image, 0 to 1"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, name: str, content: Any, message: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(InvalidInput, match=message):
        BoxMap.load(path.parent if path.suffix == ".txt" else path)


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PathError):
        BoxMap.load(tmp_path / "boxes.jsonl")
