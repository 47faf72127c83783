"""The chunks of the regions, at the end of a file."""

from __future__ import annotations

from tacit.container.chunks import REGION_CHUNK, check_known
from tacit.container.framing import LEAST_CHUNK, chunk_at
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


def read_regions(view: memoryview, start: int, count: int, index: tuple[int, ...] | None) -> tuple[bytes, ...]:
    """Return the payloads of all regions of a whole file.

    Args:
        view: The file.
        start: Where the first region's chunk begins.
        count: How many regions the file has.
        index: The lengths of their payloads, or None for a single region.

    Raises:
        CorruptFile: A region is damaged or missing, or something follows the last one.
        UnsupportedFile: There is a chunk that needs a newer reader.
    """
    position, left = start, len(view) - start
    if count > 1 and left < count * LEAST_CHUNK:
        raise CorruptFile(f"{count} regions must have at least {count * LEAST_CHUNK} bytes, got {left}")
    regions: list[bytes] = []
    for number in range(count):
        expect_region(view, position, number, count)
        chunk = chunk_at(view, position, number).verify()
        if index is not None and len(chunk.payload) != index[number]:
            raise CorruptFile(f"{chunk.name} must have {index[number]} bytes as in the index, got {len(chunk.payload)}")
        regions.append(bytes(chunk.payload))
        position = chunk.end
    if position != len(view):
        raise CorruptFile(f"the file must end with the last region, got {len(view) - position} bytes after it")
    return tuple(regions)
