"""Quality maps in a file."""

from __future__ import annotations

import io

import pytest

from support.containers import MAPPED, header, spans
from tacit.container import Metadata, read, read_header, region_grid, write
from tacit.errors import CorruptFile


def test_a_quality_map_comes_back() -> None:
    for offsets in (b"\x05\xfb", b"\x9c\x64", bytes(2)):
        mapped = header(100, 64, quality_map=offsets)
        data = write(mapped, Metadata(), None, [b"region"])
        assert data[8] == 2
        assert [kind for kind, *_ in spans(data)] == ["H", "Q", "R"]
        assert read(data).header == read_header(data)[0] == read_header(io.BytesIO(data))[0] == mapped
        assert sum(read_header(data)[2].values()) == len(data)
    assert write(header(100, 64), Metadata(), None, [b"region"])[8] == 1
    large = header(6400, 6400, quality_map=bytes(range(100)) * 100)
    regions = [b"region"] * len(region_grid(6400, 6400))
    assert read(write(large, Metadata(), None, regions)).header == large


def test_without_its_map_nothing_is_salvaged() -> None:
    data = bytearray(write(MAPPED, Metadata(), None, [b"region"]))
    start = next(start for kind, start, _ in spans(bytes(data)) if kind == "Q")
    data[start + 3] ^= 1
    with pytest.raises(CorruptFile, match="chunk Q"):
        read(data, salvage=True)
