"""Salvage: taking what is whole from a damaged file, and listing what is not.

No region is ever given back in another's place, and the time stays linear in the size of the file.
"""

from __future__ import annotations

import re

from tacit.container.chunks import CHUNKS, REGION_CHUNK
from tacit.container.framing import chunk_at, framed_size
from tacit.container.region_chunks import expect_region
from tacit.errors import CorruptFile, FileError

_SEARCH = 1 << 18  # bytes through which a lost chunk is searched for
_SEARCH_COST = 1 << 26  # bytes whose checksum is computed in the search: a bound on its time, not on what it finds
_KNOWN_TYPE = re.compile(b"[%s]" % "".join(CHUNKS).encode())

SalvagedRegions = tuple[tuple[bytes | None, ...], list[str]]
"""The regions in raster order, None for a lost one, and a line for everything that was wrong."""


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

    def regions(self, view: memoryview, start: int, count: int, index: tuple[int, ...] | None) -> SalvagedRegions:
        """Return what is whole of the regions.

        Args:
            view: The file.
            start: Where the first region begins if nothing before it is damaged.
            count: How many regions the file has.
            index: The lengths of their payloads, or None where there is none.
        """
        if index is None:
            return _salvage_in_sequence(view, start, count)
        # Where the regions begin is known three times over: where the chunks before them end, by counting from the end
        # of the file, and at the last damaged chunk if that was a region. The truth is where most regions are whole.
        starts = {start, len(view) - sum(map(framed_size, index)), self.damaged_at or start}
        candidates = [_salvage_indexed(view, position, index) for position in sorted(starts) if position > 0]
        return max(candidates, key=lambda candidate: sum(region is not None for region in candidate[0]))


def _salvage_indexed(view: memoryview, position: int, index: tuple[int, ...]) -> SalvagedRegions:
    """Return the regions whose lengths are in the index and the first of which begins at `position`."""
    regions: list[bytes | None] = []
    damage: list[str] = []
    for number, length in enumerate(index):
        if position >= len(view):
            damage.append(f"the file ends after {number} of {len(index)} regions")
            regions += [None] * (len(index) - number)
            break
        try:
            chunk = chunk_at(view, position, number)
            if chunk.kind != REGION_CHUNK.letter:
                raise CorruptFile(f"byte {position} must begin region {number}, got {chunk.name}")
            if len(chunk.payload) != length:
                raise CorruptFile(f"{chunk.name} must have {length} bytes as in the index, got {len(chunk.payload)}")
            regions.append(bytes(chunk.verify().payload))
        except CorruptFile as error:
            damage.append(f"region {number} is lost: {error}")
            regions.append(None)
        position += framed_size(length)
    if position < len(view):
        damage.append(_trailing(view, position))
    return tuple(regions), damage


def _salvage_in_sequence(view: memoryview, position: int, count: int) -> SalvagedRegions:
    """Return the regions of a file without an index: a single one, or several if exactly as many chunks reach the end.

    Otherwise it is not known which regions they are, and a region in a wrong place would be worse than none.
    """
    regions: list[bytes | None] = []
    damage: list[str] = []
    try:
        for number in range(count):
            expect_region(view, position, number, count)
            chunk = chunk_at(view, position, number)
            position = chunk.end
            try:
                regions.append(bytes(chunk.verify().payload))
            except CorruptFile as error:
                damage.append(f"region {number} is lost: {error}")
                regions.append(None)
    except FileError as error:
        damage.append(str(error))
    if position < len(view) and len(regions) == count:
        damage.append(_trailing(view, position))
    if count > 1 and (len(regions) != count or position != len(view)):
        damage.append(f"without the index it is not known which of {count} regions the {len(regions)} chunks are")
        regions = []
    return (*regions, *[None] * (count - len(regions))), damage


def _trailing(view: memoryview, end: int) -> str:
    return f"the file must end with the last region, got {len(view) - end} bytes after it"
