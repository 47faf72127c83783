"""The chunks of the regions, at the end of a file."""

from __future__ import annotations

from tacit.container.chunks import REGION_CHUNK, check_known
from tacit.container.framing import LEAST_CHUNK, beginning_of_payload, chunk_at
from tacit.container.header import Header
from tacit.container.scans import Streams, count_pieces, join, stored_size
from tacit.errors import CorruptFile


def is_region(view: memoryview, position: int) -> bool:
    """Return whether the byte at a position is the type of a region's chunk."""
    return chr(view[position]) == REGION_CHUNK.letter


def expect_region(view: memoryview, position: int, number: int, count: int) -> None:
    """Check that the chunk at a position is that of a region.

    Args:
        view: The file.
        position: Where the chunk begins.
        number: The region's number, from 0.
        count: How many regions the file has.

    Raises:
        CorruptFile: The file ends here, or there is something else.
        UnsupportedFile: There is a chunk that needs a newer reader.
    """
    if position >= len(view):
        raise CorruptFile(f"the file ends after {number} of {count} regions")
    if not is_region(view, position):
        chunk = chunk_at(view, position).verify()
        check_known(chunk)
        raise CorruptFile(f"byte {position} must begin region {number} of {count}, got {chunk.name}")


def read_regions(
    view: memoryview, start: int, header: Header, index: tuple[int, ...] | None, *, partial: bool = False
) -> Streams:
    """Return the bytes of all regions.

    Args:
        view: The file.
        start: Where the first region's chunk begins.
        header: Its header.
        index: The lengths of the chunks' payloads, or None where there is a single one.
        partial: Whether the end of the file may be missing. What is there of the last chunk is then taken unverified.

    Raises:
        CorruptFile: A chunk is damaged or missing, or something follows the last one.
        UnsupportedFile: There is a chunk that needs a newer reader.
    """
    scans, count, position = header.scans or 1, count_pieces(header), start
    stored = count if index is None else sum(stored_size(length, scans) > 0 for length in index)
    left = len(view) - start
    if count > 1 and left < stored * LEAST_CHUNK and not partial:
        raise CorruptFile(f"{stored} regions must have at least {stored * LEAST_CHUNK} bytes, got {left}")
    pieces: list[bytes | None] = []
    unfinished: int | None = None
    for number in range(count):
        if index is not None and not stored_size(index[number], scans):
            pieces.append(b"")
            continue
        if partial and start < position >= len(view):
            pieces.append(None)
            continue
        expect_region(view, position, number, count)
        expected = None if index is None else index[number]
        beginning = beginning_of_payload(view, position, expected) if partial else None
        if beginning is not None:
            unfinished, position = number, len(view)
            pieces.append(bytes(beginning))
            continue
        chunk = chunk_at(view, position, number).verify()
        if index is not None and len(chunk.payload) != index[number]:
            raise CorruptFile(f"{chunk.name} must have {index[number]} bytes as in the index, got {len(chunk.payload)}")
        pieces.append(bytes(chunk.payload))
        position = chunk.end
    if position != len(view):
        raise CorruptFile(f"the file must end with the last region, got {len(view) - position} bytes after it")
    return join(pieces, scans, unfinished)
