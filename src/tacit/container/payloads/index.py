"""The payload of the index: the lengths of the chunks of regions."""

from __future__ import annotations

from collections.abc import Iterable

from tacit.container.framing import read_varint, varint
from tacit.errors import CorruptFile


def encode(lengths: Iterable[int]) -> bytes:
    """Return the payload for the lengths of the chunks' payloads, in bytes."""
    return b"".join(varint(length) for length in lengths)


def decode(payload: memoryview, count: int) -> tuple[int, ...]:
    """Return the lengths of `count` payloads, in bytes.

    Raises:
        CorruptFile: The payload does not hold this many lengths.
    """
    if len(payload) < count:  # at least a byte each: this bounds the list below by what is really there
        raise CorruptFile(f"must have at least a byte for each of {count} regions, got {len(payload)} bytes")
    lengths, position = [], 0
    for number in range(count):
        length, position = read_varint(payload, position, f"length of region {number}")
        lengths.append(length)
    if position != len(payload):
        raise CorruptFile(f"must have the {position} bytes of its {count} lengths, got {len(payload)}")
    return tuple(lengths)
