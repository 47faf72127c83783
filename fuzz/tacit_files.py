"""Mutations of `.tacit` files that keep some of their structure: else hardly a file would get past its checksums."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

Change = Callable[[bytes, int], bytes]
"""Changes bytes in any way, up to a number of bytes."""

START = 9  # bytes of the signature and the version
KEPT = 9  # bytes at the end of the header that name the weights; in a progressive file the scans follow
PROGRESSIVE = 3  # the version of progressive files


def mutate(data: bytes, limit: int, seed: int, change: Change) -> bytes:
    """Return a file like another one.

    Args:
        data: The file.
        limit: The most bytes that the new file may have.
        seed: What the choice depends on.
        change: Changes bytes.
    """
    chooser = random.Random(seed)
    kind = chooser.random()
    chunks = split(data)
    if kind < 0.15 or not chunks:
        return change(data, limit)
    if kind < 0.35:
        changed = change(data, limit)
        return (changed[:START] + b"".join(map(framed, split(changed))))[:limit]
    place = chooser.randrange(len(chunks))
    letter, payload = chunks[place]
    if kind < 0.85:
        room = max(1, limit - len(data) + len(payload))
        kept = KEPT + (data[START - 1] == PROGRESSIVE)
        chunks[place] = letter, _inner(letter, payload, room, kept, chooser, change)
    elif kind < 0.9:
        del chunks[place]
    elif kind < 0.95:
        chunks.insert(chooser.randrange(len(chunks) + 1), (letter, payload))
    else:
        chunks[place] = chooser.choice(b"HIQAciexRzZ"), payload
    return (data[:START] + b"".join(map(framed, chunks)))[:limit]


def _inner(letter: int, payload: bytes, limit: int, kept: int, chooser: random.Random, change: Change) -> bytes:
    """Return a changed payload: of compressed data mostly what is inside, of a header mostly not the weights."""
    if letter in b"Qiex" and payload[:1] == b"\1" and chooser.random() < 0.7:
        try:
            plain = zlib.decompressobj().decompress(payload[1:], 1 << 16)
        except zlib.error:
            plain = b""
        return b"\1" + zlib.compress(change(plain, limit), 1)
    if letter == ord("H") and len(payload) > kept and chooser.random() < 0.7:
        return change(payload[:-kept], 12) + payload[-kept:]
    return change(payload, limit)


def split(data: bytes) -> list[tuple[int, bytes]]:
    """Return the types and payloads of a file's chunks, as far as there are any; the last one may be cut."""
    chunks = []
    position = START
    while position + 2 <= len(data):
        letter, length, shift = data[position], 0, 0
        position += 1
        while position < len(data):
            byte = data[position]
            length |= (byte & 127) << shift
            shift += 7
            position += 1
            if byte < 128 or shift > 28:
                break
        chunks.append((letter, data[position : position + length]))
        position += length + 4
    return chunks


def framed(chunk: tuple[int, bytes]) -> bytes:
    """Return a whole chunk with its right length and checksum."""
    letter, payload = chunk
    size = len(payload)
    head = bytearray([letter])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return b"".join((head, payload, zlib.crc32(payload, zlib.crc32(head)).to_bytes(4, "big")))
