"""Captions: which of them a file may hold."""

from __future__ import annotations

import re

import pytest

from support.containers import H, R, build, chunk, header
from tacit.container import Metadata, check_caption, read, read_header, write
from tacit.container.framing import frame
from tacit.errors import CorruptFile, InvalidInput

CAPTIONS = [
    ("a" * 1_000_000, "must have at most 65535 bytes of UTF-8, got 1000000"),
    ("é" * 32_768, "must have at most 65535 bytes of UTF-8, got 65536"),
    ("a\x1b[2Jb", "line feed and carriage return, got U+001B at character 1"),
    ("nul\0", "got U+0000 at character 3"),
    ("\x7f", "got U+007F at character 0"),
    ("\x9b", "got U+009B at character 0"),
]


@pytest.mark.parametrize(("caption", "message"), [*CAPTIONS, ("\ud800", "got U+D800 at character 0")])
def test_a_caption_is_checked_without_a_file(caption: str, message: str) -> None:
    check_caption("a red boat\n")
    with pytest.raises(InvalidInput, match="^caption .*" + re.escape(message)):
        check_caption(caption)


@pytest.mark.parametrize(("caption", "message"), CAPTIONS)
def test_bad_captions(caption: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        write(header(), Metadata(caption=caption), None, [b""])
    data = build(H, frame("c", caption.encode()), R)
    for reader in (read, read_header):
        with pytest.raises(CorruptFile, match=re.escape(message)):
            reader(data)
    saved = read(data, salvage=True)
    assert saved.regions == (b"region",)
    assert saved.metadata == Metadata()
    assert message in saved.damage[0]


def test_captions_that_are_no_text() -> None:
    with pytest.raises(InvalidInput, match="U\\+D800 at character 2"):
        write(header(), Metadata(caption="ab\ud800"), None, [b""])
    with pytest.raises(CorruptFile, match="caption must be UTF-8, got another byte at 2"):
        read(build(H, chunk("c", b"ab\xff"), R))


def test_longest_caption() -> None:
    metadata = Metadata(caption="é\n" * 21_845)
    assert read(write(header(), metadata, None, [b""])).metadata == metadata
