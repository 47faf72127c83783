"""Compressed payloads: their limit, on both sides."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import pytest

from support.containers import H, R, build, header
from tacit.container import Metadata, read, read_header, write
from tacit.container.framing import frame
from tacit.errors import CorruptFile, InvalidInput


@pytest.mark.parametrize("field", ["icc", "exif", "xmp"])
def test_metadata_limit(field: str) -> None:
    largest: dict[str, Any] = {field: bytes(16 << 20)}
    most = Metadata(**largest)
    assert read(write(header(), most, None, [b""])).metadata == most
    too_large: dict[str, Any] = {field: bytes((16 << 20) + 1)}
    with pytest.raises(InvalidInput, match=f"{field} must have at most 16777216 bytes, got 16777217"):
        write(header(), Metadata(**too_large), None, [b""])


@pytest.mark.parametrize("kind", ["i", "e", "x"])
def test_zlib_bomb(kind: str) -> None:
    bomb = frame(kind, b"\1" + zlib.compress(bytes((16 << 20) + 1), 9))
    assert len(bomb) < 20_000
    for reader in (read, read_header):
        with pytest.raises(CorruptFile, match=f"chunk {kind}: .* must hold at most 16777216 bytes"):
            reader(build(H, bomb, R))
    huge = zlib.compressobj(9)
    payload = b"\1" + b"".join([*(huge.compress(bytes(1 << 20)) for _ in range(100)), huge.flush()])
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFile, match="must hold at most 16777216 bytes"):
            read(build(H, frame(kind, payload), R))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
