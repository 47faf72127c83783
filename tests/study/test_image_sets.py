"""Sets of images with captions of several kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.study import RecordingProgress
from tacit.errors import InvalidInput
from tacit.evaluation.datasets import Dataset, DatasetImage, load_dataset
from tacit.study.config import SetConfig
from tacit.study.image_sets import (
    available_sets,
    captions_of_kind,
    rotated_captions,
    with_captions,
    write_caption_map,
)


def test_captions_of_every_kind(image_folder: Path, progress: RecordingProgress) -> None:
    config = SetConfig(
        str(image_folder / "list.jsonl"), {"a": "own", "b": "joined", "c": str(image_folder / "long.jsonl")}, limit=2
    )
    ((same, dataset),) = available_sets([config, SetConfig("clic:nowhere")], [], progress)
    assert same is config
    assert "nowhere" in progress.said[0]
    assert captions_of_kind(config, dataset, "a") == {"p0.png": "a red boat", "p1.png": "a dog on grass"}
    joined = captions_of_kind(config, dataset, "b")
    assert joined is not None
    assert joined["p0.png"] == "a red boat. a red boat in the sun."
    detailed = captions_of_kind(config, dataset, "c")
    assert detailed is not None
    assert detailed["p1.png"].endswith("large")
    assert captions_of_kind(config, dataset, "d") is None


def test_a_written_map_is_what_the_harness_reads(image_folder: Path, tmp_path: Path) -> None:
    config = SetConfig(str(image_folder / "list.jsonl"), {"several": "joined"})
    dataset = load_dataset(config.source)
    path = write_caption_map(config, dataset, "several", tmp_path / "new")
    again = load_dataset(config.source, captions=path)
    assert {i.name: i.caption for i in again.images} == captions_of_kind(config, dataset, "several")


def test_no_set_at_all_is_an_error(progress: RecordingProgress) -> None:
    with pytest.raises(InvalidInput, match="none of the study's sets"):
        available_sets([SetConfig("kodak:/nowhere")], [], progress)


@pytest.mark.parametrize("shift", [1, 3, 5])
def test_another_caption_is_never_the_own(shift: int) -> None:
    texts = {"a": "x", "b": "x", "c": "y", "d": "z", "e": "y", "f": "w"}
    found = rotated_captions(texts, shift)
    assert list(found) == list(texts)
    assert all(found[name] != text for name, text in texts.items())
    distinct = {str(i): f"text {i}" for i in range(6)}
    rotated = rotated_captions(distinct, shift)
    assert sorted(rotated.values()) == sorted(distinct.values())
    assert rotated["0"] == f"text {shift}"


def test_every_dataset_item_keeps_its_place() -> None:
    dataset = Dataset("x", (DatasetImage("a", Path("a"), "0", "old"), DatasetImage("b", Path("b"), "1")))
    assert [i.caption for i in with_captions(dataset, "y", {"b": "new"}).images] == [None, "new"]
    assert [i.caption for i in with_captions(dataset, "y", {}).images] == [None, None]
