"""The origins of an image's caption, and what a caption must be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.captions import CaptionMap, find_caption
from tacit.container import MAX_CAPTION, Header, Metadata, read, write
from tacit.errors import InvalidInput
from tacit.image import Raster


def photo_with(caption: str | None) -> Raster:
    return Raster(np.zeros((2, 3, 3), np.uint8), metadata=Metadata(caption=caption))


def save_map(folder: Path, name: str, text: str) -> CaptionMap:
    (folder / name).write_text(text, encoding="utf-8")
    return CaptionMap.load(folder / name)


def test_the_order_is_given_map_sidecar_metadata(tmp_path: Path) -> None:
    path, photo = tmp_path / "photo.jpg", photo_with("from metadata")
    mapping = save_map(tmp_path, "map.json", '{"photo.jpg": "from the map"}')
    (tmp_path / "photo.txt").write_text(" from the sidecar\n")

    def origin(given: str | None = None, mapping: CaptionMap | None = None, use_metadata: bool = True) -> object:
        found = find_caption(path, photo, caption=given, caption_map=mapping, use_metadata=use_metadata)
        return found and (found.text, found.origin)

    assert origin("from me", mapping) == ("from me", "given")
    assert origin(None, mapping) == ("from the map", "map")
    assert origin() == ("from the sidecar", "sidecar")
    (tmp_path / "photo.txt").unlink()
    assert origin() == ("from metadata", "metadata")
    assert origin(use_metadata=False) is None


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    assert find_caption(tmp_path / "photo.jpg", photo_with(None)) is None
    assert find_caption(None, None) is None


def test_an_empty_given_caption_means_none(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_text("from the sidecar")
    assert find_caption(tmp_path / "photo.jpg", photo_with("from metadata"), caption="  ") is None


def test_empty_captions_elsewhere_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_text(" \n")
    mapping = save_map(tmp_path, "map.json", '{"photo.jpg": ""}')
    found = find_caption(tmp_path / "photo.jpg", photo_with("from metadata"), caption_map=mapping)
    assert found is not None
    assert found.origin == "metadata"


@pytest.mark.parametrize("text", ["a\0b", "a\x1b[31m", "a\x85b", "a\udcffb"])
def test_control_characters_are_refused_in_a_given_caption(text: str) -> None:
    with pytest.raises(InvalidInput, match="no control characters"):
        find_caption(None, caption=text)


def test_the_longest_caption_is_counted_in_bytes() -> None:
    longest = "é" * (MAX_CAPTION // 2)
    found = find_caption(None, caption=longest)
    assert found is not None
    assert found.text == longest
    with pytest.raises(InvalidInput, match="at most 65,535"):
        find_caption(None, caption=longest + "é")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_what_is_accepted_can_be_stored_in_a_file(text: str) -> None:
    try:
        found = find_caption(None, caption=text)
    except InvalidInput:
        return
    if found is None:
        assert not text.strip()
        return
    header = Header(width=1, height=1, color=True, alpha=False, quality=50.0, model_id=1, weights_hash=bytes(8))
    data = write(header, Metadata(caption=found.text), None, [b""])
    assert read(data).metadata.caption == found.text


def test_a_bad_caption_in_a_map_names_the_map(tmp_path: Path) -> None:
    mapping = save_map(tmp_path, "map.json", json.dumps({"a.jpg": "x" * 70_000}))
    with pytest.raises(InvalidInput, match=r"map\.json: caption must have at most 65,535 bytes of UTF-8, got 70,000"):
        find_caption(tmp_path / "a.jpg", caption_map=mapping)
