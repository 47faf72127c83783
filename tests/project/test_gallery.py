"""The gallery of the documents: its page belongs to its figures, and its images show what they say."""

from __future__ import annotations

import importlib
import json
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from support.paths import ROOT
from tacit import weights

RESULTS = ROOT / "results" / "gallery.json"

pytestmark = pytest.mark.skipif(not RESULTS.is_file(), reason="no results here")


@pytest.fixture
def gallery() -> ModuleType:
    pytest.importorskip("skimage")
    return importlib.import_module("scripts.gallery")


@pytest.fixture
def told() -> Any:
    return json.loads(RESULTS.read_text())


def test_the_page_belongs_to_the_figures(gallery: ModuleType, told: Any) -> None:
    assert gallery.PAGE.read_text() == gallery.page(told), "run scripts/gallery.py --page"


def test_the_figures_are_of_the_shipped_weights(told: Any) -> None:
    shipped = weights.describe(weights.locate(weights.DEFAULT)).decode_hash.hex()
    assert told["weights"] == shipped, "run make gallery"


def test_no_file_is_larger_than_ours_unless_the_page_says_so(told: Any) -> None:
    for about in told["images"].values():
        own, *others = about["files"]
        assert own["codec"] == "tacit"
        assert len(others) == 5
        assert all((row["bytes"] > own["bytes"]) == row["too_large"] for row in others)
        assert about["terms"]


def test_the_images_are_small(told: Any) -> None:
    files = [ROOT / "docs" / "images" / f"gallery-{name}.webp" for name in told["images"]]
    assert sum(path.stat().st_size for path in files) <= 1_000_000
    for path in files:
        with Image.open(path) as image:
            assert image.width == 1182


def test_the_drawing_shows_each_file(gallery: ModuleType) -> None:
    sample = gallery.SAMPLES[1]
    image = gallery.sample_image(sample.name)
    rows = [{"codec": "tacit", "bytes": 1234, "too_large": False}, {"codec": "A<B", "bytes": 2000, "too_large": True}]
    drawing = gallery.drawing(sample, rows, [image, image])
    assert drawing.count("<img ") == 4
    assert "A&lt;B" in drawing
    assert "1,234 bytes<" in drawing
    assert "2,000 bytes, its least<" in drawing
