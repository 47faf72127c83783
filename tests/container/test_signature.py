"""Signature and version: other files, files damaged by a transfer as text, and newer ones."""

from __future__ import annotations

import io
import re

import pytest

from support.containers import H, R, build, pack, small
from tacit.container import is_tacit, read, read_header
from tacit.errors import CorruptFile, UnsupportedFile


def test_is_tacit() -> None:
    data = pack(small())
    assert is_tacit(data)
    assert is_tacit(memoryview(data)[:8])
    assert not is_tacit(data[:7])
    assert not is_tacit(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        b"GIF89a",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"hello",
        bytes(100),
    ],
)
@pytest.mark.parametrize("salvage", [False, True])
def test_other_formats(data: bytes, salvage: bool) -> None:
    with pytest.raises(UnsupportedFile, match=r"not a \.tacit file"):
        read(data, salvage=salvage)
    with pytest.raises(UnsupportedFile, match=r"not a \.tacit file"):
        read_header(io.BytesIO(data))


@pytest.mark.parametrize(
    ("damage", "how"),
    [
        (lambda data: data.replace(b"\r\n", b"\n"), "CR LF became LF"),
        (lambda data: data.replace(b"\n", b"\r\n"), "LF became CR LF"),
        (lambda data: re.sub(b"(?<!\r)\n", b"\r\n", data), "LF became CR LF"),
        (lambda data: data.replace(b"\r", b"\n"), "CR became LF"),
        (lambda data: data.replace(b"\n", b"\r"), "LF became CR"),
        (lambda data: bytes(byte & 0x7F for byte in data), "eighth bit"),
        (lambda data: data.decode("latin-1").encode(), "UTF-8"),
        (lambda data: data.decode("utf-8", "replace").encode(), "U+FFFD"),
        (lambda data: data.decode("ascii", "replace").replace("\ufffd", "?").encode(), "question marks"),
    ],
)
def test_text_mode_transfer_is_recognised(damage: object, how: str) -> None:
    with pytest.raises(CorruptFile, match="text mode") as caught:
        read(damage(pack(small())))  # type: ignore[operator]
    assert how in str(caught.value)


def test_newer_and_impossible_versions() -> None:
    for reader in (read, read_header):
        with pytest.raises(UnsupportedFile, match="format version must be at most 3 for this tacit, got 4"):
            reader(build(H, R, version=4))
        with pytest.raises(CorruptFile, match="format version must be at least 1, got 0"):
            reader(build(H, R, version=0))
