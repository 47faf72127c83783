"""The captions of the Kodak images that come with the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.paths import ROOT
from tacit.captions import CaptionMap, find_caption
from tacit.text.encoders import load_encoder

FOLDER = ROOT / "data" / "captions"
IMAGES = [f"kodim{number:02}.png" for number in range(1, 25)]
WORDS = {"kodak-detailed.jsonl": (60, 120), "kodak-short.jsonl": (12, 18)}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no captions here")


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", WORDS)
def test_each_image_has_one_caption_of_its_own(name: str) -> None:
    assert [row["file"] for row in rows(name)] == IMAGES
    captions = [caption for row in rows(name) for caption in row["captions"]]
    assert len(captions) == len(set(captions)) == len(IMAGES)


@pytest.mark.parametrize("name", WORDS)
def test_the_captions_are_as_long_as_the_readme_says(name: str) -> None:
    low, high = WORDS[name]
    for row in rows(name):
        count = len(row["captions"][0].split())
        assert low <= count <= high, f"{row['file']}: {count} words"
    assert re.search(rf"`{name}` \|.*\| {low} to {high} \|", (FOLDER / "README.md").read_text())


@pytest.mark.parametrize("name", WORDS)
def test_the_captions_are_clean_sentences(name: str) -> None:
    for row in rows(name):
        (caption,) = row["captions"]
        assert caption.isascii()
        assert caption.isprintable()
        assert caption == " ".join(caption.split())
        assert caption[0].isupper()
        assert caption.endswith(".")
        assert caption.count('"') % 2 == 0


def test_sentences_are_not_repeated() -> None:
    """What is said of two pictures alike tells them apart for nobody."""
    sentences = [s for name in WORDS for row in rows(name) for s in re.split(r"(?<=\.) ", row["captions"][0])]
    assert len(sentences) == len(set(sentences))


@pytest.mark.parametrize("name", WORDS)
def test_encode_finds_them_wherever_the_images_are(name: str, tmp_path: Path) -> None:
    mapping = CaptionMap.load(FOLDER / name)
    for row in rows(name):
        for file in (row["file"], row["file"].replace(".png", ".tif")):
            found = find_caption(tmp_path / "elsewhere" / file, caption_map=mapping)
            assert found is not None
            assert (found.text, found.origin) == (row["captions"][0], "map")


def test_the_detailed_ones_are_longer_than_clips_window_and_read_to_the_end() -> None:
    encoder = load_encoder("embedded")
    for row in rows("kodak-detailed.jsonl"):
        (caption,) = row["captions"]
        offsets = encoder.offsets(caption)
        assert len(offsets) > 77
        assert caption[slice(*offsets[-1])] == "."
        assert int(encoder([caption]).mask.sum()) == len(offsets)
