"""Captions in files beside an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.captions import find_caption
from tacit.captions.sidecar import member_captions, sidecar_captions
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


def test_captions_in_shards() -> None:
    assert member_captions({"json": b'{"captions": ["a", "b"]}', "txt": b"c"}) == ("a", "b")
    for content in (b'{"url": "x"}', b"[]", b"5", b"{", b'{"captions": null}', b'{"caption": ""}', b"[" * 100_000):
        assert member_captions({"json": content, "txt": b" c\n"}) == ("c",)
        assert member_captions({"json": content}) == ()


def test_a_bad_caption_in_a_data_set_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.txt").write_bytes(b"a \xff boat")
    (tmp_path / "b.txt").write_text(" a boat\n")
    assert sidecar_captions(tmp_path / "a.jpg") == ()
    assert "a.txt: not UTF-8 (at byte 2); the image is used without a caption" in caplog.text
    assert sidecar_captions(tmp_path / "b.jpg") == ("a boat",)
    assert sidecar_captions(tmp_path / "c.jpg") == ()
