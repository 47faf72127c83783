"""Salvage: what is whole is kept, nothing is ever in a wrong place, and the time is bounded."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.containers import FILES, H, build, chunk, flips, header, spans
from tacit.container import Metadata, read, write
from tacit.errors import FileError


@pytest.mark.parametrize("name", ["one region", "six regions"])
def test_salvage_of_every_flipped_bit(name: str) -> None:
    """A flipped bit costs its own chunk and nothing else; in the signature and the header it is fatal."""
    data = FILES[name]
    whole = read(data)
    kinds = {place: (kind, start) for kind, start, end in spans(data) for place in range(start, end)}
    regions = [start for kind, start, _ in spans(data) if kind == "R"]
    for place, damaged in flips(data):
        kind, start = kinds.get(place, ("H", 0))
        if kind == "H":
            with pytest.raises(FileError):
                read(damaged, salvage=True)
            continue
        saved = read(damaged, salvage=True)
        lost = regions.index(start) if kind == "R" else None
        assert saved.header == whole.header
        assert saved.damage
        assert saved.regions == tuple(None if i == lost else r for i, r in enumerate(whole.regions)), (place, kind)
        assert not saved.cut
        assert saved.alpha == (None if kind == "A" else whole.alpha)
        for letter, field in (("c", "caption"), ("i", "icc"), ("e", "exif"), ("x", "xmp")):
            assert getattr(saved.metadata, field) == (None if kind == letter else getattr(whole.metadata, field))


@pytest.mark.parametrize("name", ["one region", "six regions"])
def test_salvage_of_every_truncation(name: str) -> None:
    data = FILES[name]
    whole = read(data)
    header_end = spans(data)[0][2]
    ends = [end for kind, _, end in spans(data) if kind == "R"]
    for length in range(len(data)):
        if length < header_end:
            with pytest.raises(FileError):
                read(data[:length], salvage=True)
            continue
        saved = read(data[:length], salvage=True)
        kept = sum(end <= length for end in ends)
        assert saved.regions == whole.regions[:kept] + (None,) * (len(ends) - kept)
        assert saved.damage
        assert len(saved.damage) < 12


def test_salvage_of_scans_with_a_flipped_bit() -> None:
    """It costs its own region what follows in later scans, and nothing else."""
    data = FILES["six regions in scans"]
    whole = read(data)
    kinds = {place: kind for kind, start, end in spans(data) for place in range(start, end)}
    for place, damaged in flips(data):
        kind = kinds.get(place, "H")
        if kind == "H":
            with pytest.raises(FileError):
                read(damaged, salvage=True)
            continue
        saved = read(damaged, salvage=True)
        assert saved.damage
        if kind == "I":
            assert set(saved.regions) == {None}  # it is not known which pieces are empty
        elif kind == "R":
            assert len(saved.cut) + saved.regions.count(None) == 1, place
            hurt = [i for i, found in enumerate(saved.regions) if found != whole.regions[i]]
            assert len(hurt) == 1
            assert (whole.regions[hurt[0]] or b"").startswith(saved.regions[hurt[0]] or b"")
        else:
            assert saved.regions == whole.regions


@pytest.mark.parametrize("name", ["progressive", "six regions in scans"])
def test_salvage_of_every_beginning(name: str) -> None:
    """A progressive file that was cut gives what it gives as a beginning, with the damage said."""
    data = FILES[name]
    first = next(start for kind, start, _ in spans(data) if kind == "R")
    for length in range(first + 1, len(data)):
        saved, part = read(data[:length], salvage=True), read(data[:length], partial=True)
        assert (saved.regions, saved.cut) == (part.regions, part.cut)
        assert saved.damage


def test_salvage_says_what_is_lost() -> None:
    data = bytearray(FILES["six regions"])
    starts = [start for kind, start, _ in spans(bytes(data)) if kind == "R"]
    data[starts[3] + 2] ^= 1
    data[starts[4] + 1] ^= 0x40
    saved = read(data, salvage=True)
    assert [region is None for region in saved.regions] == [False, False, False, True, True, False]
    assert re.fullmatch("region 3 is lost: chunk R 3: checksum must be [0-9a-f]{8}, got [0-9a-f]{8}", saved.damage[0])
    assert saved.damage[1].startswith("region 4 is lost: chunk R 4: ")
    assert len(saved.damage) == 2


def test_salvage_says_from_where_on_a_region_is_lost() -> None:
    data = bytearray(write(header(1025, 8, scans=3), Metadata(), None, [bytes(90), bytes(range(90))]))
    starts = [start for kind, start, _ in spans(bytes(data)) if kind == "R"]
    data[starts[3] + 2] ^= 1
    saved = read(data, salvage=True)
    assert saved.damage[0].startswith("region 1 is lost from scan 1 on: chunk R 3: checksum must be")
    assert saved.cut == {1}
    assert saved.regions[0] == bytes(90)
    assert 0 < len(saved.regions[1] or b"") < 90


def test_salvage_never_moves_a_region() -> None:
    """Regions of equal lengths, the first one's type and the end of the file gone: the others keep their places."""
    regions = [bytes([i]) * 5 for i in range(6)]
    data = bytearray(write(header(2100, 1030), Metadata(), None, regions))
    first = next(start for kind, start, _ in spans(bytes(data)) if kind == "R")
    data[first] ^= 1
    assert read(data, salvage=True).regions == (None, *regions[1:])
    assert read(data[:-3], salvage=True).regions == (None, *regions[1:5], None)
    whole = write(header(2100, 1030), Metadata(), None, regions)
    size = (len(whole) - first) // 6
    assert read(whole[: -2 * size], salvage=True).regions == (*regions[:4], None, None)


def test_salvage_counts_from_the_end() -> None:
    """Nothing before the second region is whole, so that only the end tells where the first one was."""
    regions = [bytes([i]) * 5 for i in range(6)]
    data = bytearray(write(header(2100, 1030), Metadata(caption="a dog"), None, regions))
    starts = [start for kind, start, _ in spans(bytes(data)) if kind in ("c", "R")]
    for start in starts[:2]:
        data[start] ^= 1
    assert read(data, salvage=True).regions == (None, *regions[1:])


def test_salvage_without_the_index() -> None:
    regions = [bytes([i]) * 5 for i in range(6)]
    data = bytearray(write(header(2100, 1030), Metadata(), None, regions))
    _, start, end = next(span for span in spans(bytes(data)) if span[0] == "I")
    data[start + 2] ^= 1
    assert read(data, salvage=True).regions == tuple(regions)
    saved = read(data[:-3], salvage=True)  # the index and the end: not known which regions these are
    assert saved.regions == (None,) * 6
    assert "without the index" in saved.damage[-1]
    del data[start:end]
    assert read(data, salvage=True).regions == tuple(regions)
    assert read(data + b"more", salvage=True).regions == (None,) * 6


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_salvage_of_heavy_damage(data: st.DataObject) -> None:
    """Whatever happens to the bytes, a region that is given back is the right one."""
    damaged = bytearray(FILES["six regions"])
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(damaged) - 1))
        piece = data.draw(st.binary(max_size=12))
        damaged[start : start + data.draw(st.integers(0, 12))] = piece
        if not damaged:
            break
    try:
        saved = read(damaged, salvage=True)
    except FileError:
        return
    whole = read(FILES["six regions"])
    assert len(saved.regions) == 6
    assert all(region is None or region == right for region, right in zip(saved.regions, whole.regions, strict=True))


# The beginning of a chunk of 1.65 MB, after which in either of the files below there is again a letter of a chunk.
COSTLY = b"e\x94\x80e"


@pytest.mark.parametrize(
    "filler",
    [
        b"R" * 1_000_000,
        b"c\x00" * 500_000,
        COSTLY * 1_000_000,
        (b"e\xff\xff\xff\x7f" + COSTLY * 40 + chunk("c", b"?")) * 20_000,
        chunk("z", b"")[:-1] * 200_000,
        b"".join(b"R" + n.to_bytes(3, "little") for n in range(0x808080, 0x818080)),
    ],
    ids=["R", "c0", "costly", "costly again and again", "broken z", "R varied"],
)
@pytest.mark.parametrize("start", [build(H), build(chunk("H", header(170_000, 1024).to_bytes()))], ids=["1", "167"])
def test_salvage_takes_bounded_time(filler: bytes, start: bytes) -> None:
    """Files made to be searched: a quadratic search would take hours here, so that finishing is the test."""
    saved = read(start + chunk("c", b"caption")[:-1] + filler, salvage=True)
    assert not any(saved.regions)
