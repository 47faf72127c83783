"""The form that every chunk has: type, length, payload and checksum; and varints, the numbers in that form."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from tacit.errors import CorruptFile, InvalidInput

Buffer = bytes | bytearray | memoryview

MAX_NUMBER = (1 << 32) - 1
"""The largest varint."""

LEAST_CHUNK = 6
"""Bytes of the smallest chunk: type, one byte of length, checksum."""


def varint(number: int) -> bytes:
    """Encode a number as unsigned LEB128 in the fewest bytes.

    Raises:
        InvalidInput: The number is larger than a file can hold.
    """
    if number > MAX_NUMBER:
        raise InvalidInput(f"number must be at most {MAX_NUMBER}, got {number}")
    stored = bytearray()
    while number > 0x7F:
        stored.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*stored, number])


def read_varint(view: memoryview, position: int, what: str) -> tuple[int, int]:
    """Decode the varint at a position.

    Args:
        view: The bytes that hold it.
        position: Where it begins in `view`.
        what: What error messages call the number.

    Returns:
        The number, and the position behind it.

    Raises:
        CorruptFile: The number is cut off, too large, or written in more bytes than it needs.
    """
    number = 0
    for place, byte in enumerate(view[position : position + 5]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if place and not byte:
                raise CorruptFile(f"{what}: {number} must be written in the fewest bytes, got {place + 1} bytes")
            if number > MAX_NUMBER:
                raise CorruptFile(f"{what} must be at most {MAX_NUMBER}, got {number}")
            return number, position + place + 1
    if len(view) - position < 5:
        raise CorruptFile(f"{what} is cut off at byte {len(view)}")
    raise CorruptFile(f"{what} must have at most 5 bytes, got more")


def frame(kind: str, payload: Buffer) -> bytes:
    """Return the whole chunk of type `kind` that has this payload."""
    head = kind.encode("ascii") + varint(len(payload))
    return b"".join([head, payload, zlib.crc32(payload, zlib.crc32(head)).to_bytes(4, "big")])


def framed_size(length: int) -> int:
    """Return how many bytes a whole chunk has whose payload has `length` bytes."""
    return 1 + len(varint(length)) + length + 4


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A chunk where it lies in a file. Its length has been compared with the file, its checksum not yet."""

    kind: str
    """The letter of its type, known or not."""
    name: str
    """The name that error messages use."""
    start: int
    """The position in the file where it begins."""
    end: int
    """The position in the file where it ends, behind its checksum."""
    covered: memoryview
    """The bytes that the checksum covers: type, length and payload."""
    payload: memoryview
    """Its payload, not to be interpreted before `verify`."""
    checksum: memoryview
    """The stored checksum, 4 bytes."""

    def verify(self) -> Chunk:
        """Return the chunk itself if its checksum is right.

        Raises:
            CorruptFile: The checksum is wrong.
        """
        computed, stored = zlib.crc32(self.covered), int.from_bytes(self.checksum, "big")
        if computed != stored:
            raise CorruptFile(f"{self.name}: checksum must be {stored:08x}, got {computed:08x}")
        return self


def beginning_of_payload(view: memoryview, start: int, expected: int | None = None) -> memoryview | None:
    """Return what is there of a chunk's payload if the view ends inside the chunk, and None if it does not.

    A length that breaks a rule is left to `chunk_at`.

    Args:
        view: The beginning of a file.
        start: Where the chunk begins.
        expected: The length that the payload must have, where it is known.
    """
    if expected is not None:
        there = view[start + 1 :]
        stored = varint(expected)
        inside = start + framed_size(expected) > len(view) and stored.startswith(there[: len(stored)])
        return there[len(stored) :][:expected] if inside else None
    length = bytes(view[start + 1 : start + 6])
    size = next((place + 1 for place, byte in enumerate(length) if byte < 0x80), None)
    if size is None:
        return view[len(view) :] if len(length) < 5 else None
    try:
        promised, body = read_varint(view, start + 1, "length")
    except CorruptFile:
        return None
    return view[body : body + promised] if body + promised + 4 > len(view) else None


def chunk_at(view: memoryview, start: int, number: int | None = None) -> Chunk:
    """Return the chunk that begins at a position of a file, with its checksum not verified.

    Args:
        view: The whole file, or its beginning.
        start: Where the chunk begins.
        number: The number of the region whose chunk this is, for messages; None if the chunk is not of a region.

    Raises:
        CorruptFile: There is no chunk, or it promises more bytes than the file has.
    """
    kind = chr(view[start])
    if not (kind.isascii() and kind.isalpha()):
        raise CorruptFile(f"byte {start}: type of a chunk must be a letter, got 0x{view[start]:02x}")
    name = f"chunk {kind}" if number is None else f"chunk {kind} {number}"
    length, body = read_varint(view, start + 1, f"{name}: length")
    end = body + length + 4
    if end > len(view):
        left = len(view) - body
        raise CorruptFile(f"{name}: length of {length} bytes and a checksum must fit in the file, got {left} bytes")
    return Chunk(
        kind=kind,
        name=name,
        start=start,
        end=end,
        covered=view[start : end - 4],
        payload=view[body : end - 4],
        checksum=view[end - 4 : end],
    )
