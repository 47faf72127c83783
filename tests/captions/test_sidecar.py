"""Captions in files beside an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.captions import find_caption
from tacit.container import MAX_CAPTION
from tacit.errors import InvalidInput, PathError


def test_a_sidecar_keeps_the_dots_of_a_name_and_drops_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "photo.v2.txt").write_text("\ufeffa boat")
    found = find_caption(tmp_path / "photo.v2.jpg")
    assert found is not None
    assert found.text == "a boat"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\xffb", "photo.txt: not UTF-8 (at byte 1)"),
        (b"a\x07b", "must have no control characters, got U+0007 at position 1"),
        (b"x" * (MAX_CAPTION + 1), "at most 65,535 bytes of UTF-8, got 65,536"),
        (b"x" * 1_000_000, "at most 65,535"),
        ("é".encode() * 500_000, "at most 65,535"),
    ],
)
def test_a_sidecar_that_cannot_be_a_caption_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "photo.txt").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        find_caption(tmp_path / "photo.jpg")
    assert message in str(caught.value)
    assert "photo.txt" in str(caught.value)


def test_a_sidecar_that_cannot_be_read_is_a_path_error(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").mkdir()
    with pytest.raises(PathError, match=r"photo\.txt: cannot be read: Is a directory"):
        find_caption(tmp_path / "photo.jpg")
