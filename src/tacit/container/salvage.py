"""Salvage: taking what is whole from a damaged file, and listing what is not.

No region is ever given back in another's place, and the time stays linear in the size of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tacit.container.chunks import CHUNKS, REGION_CHUNK
from tacit.container.framing import beginning_of_payload, chunk_at
from tacit.container.header import Header
from tacit.container.region_chunks import expect_region, is_region
from tacit.container.scans import Streams, count_pieces, join, stored_size
from tacit.errors import CorruptFile, FileError

_SEARCH = 1 << 18  # bytes through which a lost chunk is searched for
_SEARCH_COST = 1 << 26  # bytes whose checksum is computed in the search: a bound on its time, not on what it finds
_KNOWN_TYPE = re.compile(b"[%s]" % "".join(CHUNKS).encode())


@dataclass(frozen=True, kw_only=True)
class SalvagedPieces:
    """What is there of the regions of a file."""

    pieces: list[bytes | None]
    """The pieces, scan by scan; None for a lost one."""
    damage: list[str]
    """A line for everything that was wrong."""
    whole: int = 0
    """How many chunks are whole."""
    unfinished: int | None = None
    """The number of the piece of which only the beginning is there."""


class Salvage:
    """The salvage of one file: it notes the damage before the regions, and then finds the regions that are whole."""

    def __init__(self) -> None:
        self.damage: list[str] = []
        """A line for everything that was wrong."""
        self.damaged_at: int | None = None
        """The position where the last damaged chunk began, which may have been a region."""

    def note(self, error: FileError) -> None:
        """Add what is wrong to the damage."""
        self.damage.append(str(error))

    def resume(self, view: memoryview, start: int) -> int:
        """Return where to go on after the damaged chunk at `start`.

        That is at the next whole chunk: where the damaged one's length leads, unless there is a whole one before that,
        which shows that the length is what was damaged. The search is made once in a file, so that the time stays
        linear in the size.
        """
        may_search, self.damaged_at = self.damaged_at is None, start
        following = len(view)
        try:
            promised = chunk_at(view, start).end
            if promised < len(view):
                following = chunk_at(view, promised).verify().start
        except CorruptFile:
            pass
        cost = _SEARCH_COST
        for match in _KNOWN_TYPE.finditer(view[start + 1 : min(following, start + _SEARCH)] if may_search else b""):
            try:
                chunk = chunk_at(view, start + 1 + match.start())
                ends_well = chunk.end == len(view) or chr(view[chunk.end]) in CHUNKS
                if ends_well and len(chunk.covered) <= cost:
                    cost -= len(chunk.covered)
                    return chunk.verify().start
            except CorruptFile:
                continue
        return following

    def regions(
        self, view: memoryview, start: int, header: Header, index: tuple[int, ...] | None, partial: bool = False
    ) -> tuple[Streams, list[str]]:
        """Return what is whole of the regions, and a line for everything that was wrong with them.

        Of a region of which a piece is lost, the pieces before it are kept. If a progressive file is cut, so is what is
        there of the last piece.

        Args:
            view: The file.
            start: Where the first region begins if nothing before it is damaged.
            header: Its header.
            index: The lengths of the chunks' payloads, or None where there is none.
            partial: Whether what is there of the last piece is kept in a file that is not progressive, too.
        """
        scans, unverified = header.scans or 1, partial or header.progressive
        if index is None:
            found = _salvage_in_sequence(view, start, count_pieces(header), unverified)
        else:
            # The regions begin where the chunks before them end. If one of these is damaged, the place is known twice
            # more: by counting from the end of the file, and where the damaged chunk is if that was a region. The truth
            # is where most is whole.
            starts = {start}
            if self.damaged_at is not None:
                starts |= {self.damaged_at, len(view) - sum(stored_size(length, scans) for length in index)}
            candidates = [
                _salvage_indexed(view, position, index, scans, unverified)
                for position in sorted(starts)
                if position > 0
            ]
            found = max(candidates, key=lambda candidate: candidate.whole)
        return join(found.pieces, scans, found.unfinished), found.damage


def _salvage_indexed(
    view: memoryview, position: int, index: tuple[int, ...], scans: int, unverified: bool
) -> SalvagedPieces:
    """Return the pieces whose lengths are in the index and the first of which begins at `position`."""
    pieces: list[bytes | None] = []
    damage: list[str] = []
    unfinished: int | None = None
    whole, ended = 0, False
    for number, length in enumerate(index):
        size = stored_size(length, scans)
        if not size:
            pieces.append(b"")
            continue
        if position >= len(view):
            if not ended:
                damage.append(
                    f"the file ends after {number} of {len(index)} {'pieces of regions' if scans > 1 else 'regions'}"
                )
            ended = True
            pieces.append(None)
            continue
        try:
            beginning = beginning_of_payload(view, position, length) if unverified else None
            if beginning is not None and is_region(view, position):
                pieces.append(bytes(beginning))
                unfinished = number
                damage.append(f"the file ends inside chunk R {number}")
            else:
                pieces.append(_piece(view, position, number, length))
                whole += 1
        except CorruptFile as error:
            scan, region = divmod(number, len(index) // scans)
            damage.append(f"region {region} is lost{f' from scan {scan} on' if scans > 1 else ''}: {error}")
            pieces.append(None)
        position += size
    if position < len(view):
        damage.append(_trailing(view, position))
    return SalvagedPieces(pieces=pieces, damage=damage, whole=whole, unfinished=unfinished)


def _piece(view: memoryview, position: int, number: int, length: int) -> bytes:
    """Return the payload of the chunk of a region.

    Raises:
        CorruptFile: There is no such chunk at the position, or it is damaged.
    """
    chunk = chunk_at(view, position, number)
    if chunk.kind != REGION_CHUNK.letter:
        raise CorruptFile(f"byte {position} must begin region {number}, got {chunk.name}")
    if len(chunk.payload) != length:
        raise CorruptFile(f"{chunk.name} must have {length} bytes as in the index, got {len(chunk.payload)}")
    return bytes(chunk.verify().payload)


def _salvage_in_sequence(view: memoryview, position: int, count: int, unverified: bool) -> SalvagedPieces:
    """Return the pieces of a file without an index: a single one, or several if exactly as many chunks reach the end.

    Otherwise it is not known which pieces they are, and a region in a wrong place would be worse than none.
    """
    pieces: list[bytes | None] = []
    damage: list[str] = []
    try:
        for number in range(count):
            expect_region(view, position, number, count)
            beginning = beginning_of_payload(view, position) if unverified and count == 1 else None
            if beginning is not None:
                damage.append(f"the file ends inside chunk R {number}")
                return SalvagedPieces(pieces=[bytes(beginning)], damage=damage, unfinished=number)
            chunk = chunk_at(view, position, number)
            position = chunk.end
            try:
                pieces.append(bytes(chunk.verify().payload))
            except CorruptFile as error:
                damage.append(f"region {number} is lost: {error}")
                pieces.append(None)
    except FileError as error:
        damage.append(str(error))
    if position < len(view) and len(pieces) == count:
        damage.append(_trailing(view, position))
    if count > 1 and (len(pieces) != count or position != len(view)):
        damage.append(f"without the index it is not known which of {count} regions the {len(pieces)} chunks are")
        pieces = []
    return SalvagedPieces(pieces=[*pieces, *[None] * (count - len(pieces))], damage=damage)


def _trailing(view: memoryview, end: int) -> str:
    return f"the file must end with the last region, got {len(view) - end} bytes after it"
