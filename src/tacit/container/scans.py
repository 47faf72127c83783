"""The scans of a progressive file, each of which has the next piece of every region's bytes."""

from __future__ import annotations

from collections.abc import Sequence

from tacit.container.framing import framed_size
from tacit.container.header import Header
from tacit.container.regions import MAX_REGIONS, count_regions
from tacit.errors import ImageTooLarge

MOST_SCANS = 12
"""Scans that a writer makes at most."""

COST = 0.005
"""The part of the regions' bytes that a writer spends on scans at most."""

Streams = tuple[tuple[bytes | None, ...], frozenset[int]]
"""The bytes of each region, None where there are none, and the numbers of those whose end is missing."""


def count_pieces(header: Header) -> int:
    """Return how many pieces the bytes of an image's regions are cut into, by its header.

    Raises:
        ImageTooLarge: There are more than a file may have.
    """
    regions, scans = count_regions(header.width, header.height), header.scans or 1
    if regions * scans > MAX_REGIONS:
        raise ImageTooLarge(f"image must have at most {MAX_REGIONS} regions times scans, got {regions} times {scans}")
    return regions * scans


def stored_size(length: int, scans: int) -> int:
    """Return how many bytes of a file a piece takes. In a file of several scans, an empty piece has no chunk."""
    return framed_size(length) if length or scans == 1 else 0


def choose_scans(lengths: Sequence[int]) -> int:
    """Return how many scans a file should have.

    The bytes of a single region are in coding order, so that one scan is enough. Those of several become as many scans
    as cost little.

    Args:
        lengths: How many bytes each region has.
    """
    if len(lengths) == 1:
        return 1
    each = framed_size(1000) - 1000 + 2  # bytes of a piece apart from its payload: of its chunk, and in the index
    affordable = 1 + int(COST * sum(lengths) / (len(lengths) * each))
    return max(1, min(MOST_SCANS, affordable, MAX_REGIONS // len(lengths)))


def cut(regions: Sequence[bytes], scans: int) -> list[bytes]:
    """Return the pieces of the regions' bytes, scan by scan. The first scans have the smallest pieces."""
    shares = [(scan / scans) ** 1.5 for scan in range(scans + 1)]
    pieces = []
    for scan in range(scans):
        for region in regions:
            begin, end = (4 * round(len(region) * share / 4) for share in shares[scan : scan + 2])
            pieces.append(region[begin : len(region) if scan == scans - 1 else end])
    return pieces


def join(pieces: Sequence[bytes | None], scans: int, unfinished: int | None = None) -> Streams:
    """Put the bytes of each region together, as far as they are there.

    Args:
        pieces: The pieces of all scans, scan by scan; None for one that is not there.
        scans: How many scans there are.
        unfinished: The number of the piece of which only the beginning is there.
    """
    count = len(pieces) // scans
    regions: list[bytes | None] = []
    incomplete = set()
    for region in range(count):
        own: list[bytes] = []
        for number in range(region, len(pieces), count):
            piece = pieces[number]
            if piece is not None:
                own.append(piece)
            if piece is None or number == unfinished:
                if own:
                    incomplete.add(region)
                break
        regions.append(b"".join(own) if own else None)
    return tuple(regions), frozenset(incomplete)
