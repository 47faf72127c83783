"""COCO."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.evaluations import write_image
from tacit.errors import InvalidInput
from tacit.evaluation.datasets import load_dataset


def test_coco_takes_the_first_caption_of_eachwrite_image(tmp_path: Path) -> None:
    write_image(tmp_path / "val2014" / "one.jpg")
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
