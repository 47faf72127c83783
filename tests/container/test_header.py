"""The header: its limits, and what it refuses."""

from __future__ import annotations

import re

import pytest

from support.containers import header
from tacit.container import Header, Metadata, Mode, read, write
from tacit.errors import InvalidInput


def test_extreme_headers() -> None:
    most = 2**32 - 1
    for width, height in ((1, 1), (most, 1024), (1 << 20, 1 << 20)):
        if width * height == 1:
            assert read(write(header(1, 1), Metadata(), None, [b""])).header == header(1, 1)
        assert Header.from_bytes(header(width, height).to_bytes()) == (header(width, height), Mode.COLOR)
    assert Header.from_bytes(header(quality=None).to_bytes())[0].quality is None


def test_quality_is_rounded_before_anyone_uses_it() -> None:
    assert header(quality=33.333333).quality == 33.33
    assert header(quality=100).quality == 100.0
    assert read(write(header(quality=0.004), Metadata(), None, [b""])).header.quality == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width must be 1 to 4294967295, got 0"),
        ({"height": 1 << 32}, "height must be 1 to 4294967295, got 4294967296"),
        ({"height": -5}, "got -5"),
        ({"quality": 100.01}, "quality must be 0 to 100, got 100.01"),
        ({"quality": -0.5}, "got -0.5"),
        ({"quality": float("nan")}, "got nan"),
        ({"model_id": 256}, "model must be 0 to 255, got 256"),
        ({"weights_hash": b"short"}, "weights hash must have 8 bytes, got 5"),
    ],
)
def test_header_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        header(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("offsets", [b"", b"\0", bytes(3), b"\x65\0", b"\0\x9b"])
def test_maps_that_do_not_fit(offsets: bytes) -> None:
    with pytest.raises(InvalidInput, match="quality map"):
        header(100, 64, quality_map=offsets)
    with pytest.raises(InvalidInput, match="fixed rate"):
        header(100, 64, quality=None, quality_map=bytes(2))
