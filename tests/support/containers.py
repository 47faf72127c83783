"""Small `.tacit` files for tests, and their parts."""

from __future__ import annotations

import zlib

from tacit.container import Container, Header, Metadata, region_grid, write
from tacit.container.framing import chunk_at

HASH = bytes.fromhex("8c5f01a2b3d4e6f7")


def header(width: int = 768, height: int = 512, **changes: object) -> Header:
    values: dict[str, object] = {
        "width": width, "height": height, "color": True, "alpha": False, "quality": 50.0, "model_id": 1,
        "weights_hash": HASH,
    }  # fmt: skip
    return Header(**(values | changes))  # type: ignore[arg-type]


def small(width: int = 2100, height: int = 1030, **changes: object) -> Container:
    """A small file with every kind of chunk; by default 3 x 2 regions."""
    regions = tuple(bytes([40 + i]) * (3 + i) for i in range(len(region_grid(width, height))))
    metadata = Metadata(caption="a dog\n", icc=b"icc" * 9, exif=b"MM\0*", xmp=b"<x/>")
    top = header(width, height, alpha=True, **changes)
    return Container(header=top, metadata=metadata, alpha=b"\x00\x80", regions=regions)


def pack(parts: Container) -> bytes:
    return write(parts.header, parts.metadata, parts.alpha, [r for r in parts.regions if r is not None])


def chunk(kind: str, payload: bytes) -> bytes:
    """A chunk by the words of docs/format.md, apart from the code under test. Payloads of less than 16,384 bytes."""
    size = len(payload)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    covered = kind.encode() + length + payload
    return covered + zlib.crc32(covered).to_bytes(4, "big")


def build(*chunks: bytes, version: int = 1) -> bytes:
    return b"\x89TCT\r\n\x1a\n" + bytes([version]) + b"".join(chunks)


H = chunk("H", header().to_bytes())


MAPPED = header(100, 64, quality_map=b"\x05\xfb")


R = chunk("R", b"region")


TWO = chunk("H", header(1025, 8).to_bytes())  # a header of two regions


CLEAR = chunk("H", header(alpha=True).to_bytes())  # one that promises alpha


def spans(data: bytes) -> list[tuple[str, int, int]]:
    """(type, start, end) of each chunk of a whole file."""
    found, position = [], 9
    while position < len(data):
        one = chunk_at(memoryview(data), position)
        found.append((one.kind, one.start, one.end))
        position = one.end
    return found


def flips(data: bytes) -> list[tuple[int, bytes]]:
    """(byte, file) for each file that differs in one bit."""
    number = int.from_bytes(data, "big")
    return [(len(data) - 1 - bit // 8, (number ^ 1 << bit).to_bytes(len(data), "big")) for bit in range(8 * len(data))]


FILES = {
    "one region": pack(small(70, 50)),
    "six regions": pack(small()),
    "bare": write(header(), Metadata(), None, [b"region"]),
    "progressive": pack(small(70, 50, scans=1)),
    "six regions in scans": pack(small(scans=3)),
}
