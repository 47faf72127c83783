"""The payload of alpha: a method byte, and one level or a PNG file. The pixels are for `tacit.image` to code."""

from __future__ import annotations

from tacit.errors import CorruptFile, UnsupportedFile

CONSTANT, PNG = 0, 1  # methods


def check(payload: memoryview) -> bytes:
    """Return a payload itself if its method is known. What a PNG holds is for `image.decode_alpha` to check.

    Raises:
        CorruptFile: Bytes are missing or left over.
        UnsupportedFile: The method is unknown.
    """
    if len(payload) < 2:
        raise CorruptFile(f"must have a method byte and data, got {len(payload)} bytes")
    if payload[0] == CONSTANT and len(payload) != 2:
        raise CorruptFile(f"must have 1 byte of data where alpha is constant, got {len(payload) - 1}")
    if payload[0] not in (CONSTANT, PNG):
        raise UnsupportedFile(f"method must be {CONSTANT} (constant) or {PNG} (PNG), got {payload[0]}")
    return bytes(payload)
