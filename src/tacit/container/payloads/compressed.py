"""A payload of a method byte and data, which are stored as they are or as one zlib stream."""

from __future__ import annotations

import zlib

from tacit.errors import CorruptFile, UnsupportedFile

MAX_METADATA = 16 << 20
"""Bytes of ICC, EXIF or XMP, each, after decompression."""

STORED, DEFLATED = 0, 1  # methods


def encode(data: bytes) -> bytes:
    """Return the payload for data, by the method that makes it smaller.

    Raises:
        CorruptFile: The data are larger than a file may hold.
    """
    if len(data) > MAX_METADATA:
        raise CorruptFile(f"must have at most {MAX_METADATA} bytes, got {len(data)}")
    deflated = zlib.compress(data, 9)
    return bytes([DEFLATED]) + deflated if len(deflated) < len(data) else bytes([STORED]) + data


def decode(payload: memoryview, limit: int = MAX_METADATA) -> bytes:
    """Return the data in a payload.

    Args:
        payload: The method byte and the data.
        limit: The most bytes of data; no more than one byte beyond it is inflated.

    Raises:
        CorruptFile: The payload is damaged or holds more data than the limit.
        UnsupportedFile: The method is unknown.
    """
    if not payload:
        raise CorruptFile("must begin with a method byte, got an empty payload")
    method, stored = payload[0], payload[1:]
    if method == STORED:
        data = bytes(stored[: limit + 1])
    elif method == DEFLATED:
        inflater = zlib.decompressobj()
        try:
            data = inflater.decompress(stored, limit + 1)
        except zlib.error as error:
            raise CorruptFile(f"must be a zlib stream, got other bytes: {error}") from None
        if len(data) <= limit and not inflater.eof:
            raise CorruptFile(
                f"must hold a whole zlib stream, got one that ends early, after {len(data)} bytes of data"
            )
        if inflater.unused_data:
            raise CorruptFile(f"must end with its zlib stream, got {len(inflater.unused_data)} bytes after it")
    else:
        raise UnsupportedFile(f"method must be {STORED} (as it is) or {DEFLATED} (zlib), got {method}")
    if len(data) > limit:
        raise CorruptFile(f"must hold at most {limit} bytes of data, got more")
    return data
