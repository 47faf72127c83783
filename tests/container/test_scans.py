"""Scans: the pieces of regions, how many there are, and putting them together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.containers import header
from tacit.container import Metadata, choose_scans, write
from tacit.container.scans import MOST_SCANS, count_pieces, cut, join
from tacit.errors import ImageTooLarge

streams = st.lists(st.binary(max_size=90), min_size=1, max_size=7)


@given(streams, st.integers(1, 255))
def test_pieces_put_together_are_the_regions(regions: list[bytes], scans: int) -> None:
    pieces = cut(regions, scans)
    assert len(pieces) == len(regions) * scans
    assert join(pieces, scans) == (tuple(regions), frozenset())


@given(streams, st.integers(1, 9), st.data())
def test_a_lost_piece_costs_its_region_what_follows(regions: list[bytes], scans: int, data: st.DataObject) -> None:
    pieces: list[bytes | None] = list(cut(regions, scans))
    lost = data.draw(st.integers(0, len(pieces) - 1))
    scan, number = divmod(lost, len(regions))
    pieces[lost] = None
    found, incomplete = join(pieces, scans)
    kept = b"".join(piece or b"" for piece in pieces[number : lost : len(regions)])
    for place, (region, right) in enumerate(zip(found, regions, strict=True)):
        assert region == (right if place != number else kept if scan else None)
    assert incomplete == ({number} if scan else set())


def test_an_unfinished_piece_is_the_end_of_its_region() -> None:
    assert join([b"ab", b"cd", b"ef", None], 2, unfinished=2) == ((b"abef", b"cd"), frozenset({0, 1}))


@pytest.mark.parametrize("length", [0, 1, 300, 2_000, 10_000, 100_000])
@pytest.mark.parametrize("count", [2, 6, 40])
def test_scans_cost_at_most_half_a_percent(length: int, count: int) -> None:
    regions = [bytes(length)] * count
    sizes = [
        len(write(header(1024 * count, 8, scans=scans), Metadata(), None, regions))
        for scans in (1, choose_scans([length] * count))
    ]
    assert sizes[0] <= sizes[1] <= sizes[0] + 0.005 * length * count
    assert choose_scans([length] * count) == (
        1 if length < 1_000 else MOST_SCANS if length > 50_000 else pytest.approx(6, abs=5)
    )


def test_a_single_region_has_one_scan() -> None:
    assert choose_scans([1 << 20]) == 1


def test_regions_times_scans_are_limited() -> None:
    assert count_pieces(header(1 << 20, 1024, scans=255)) == 255 << 10
    with pytest.raises(ImageTooLarge, match="at most 1048576 regions times scans, got 8192 times 255"):
        count_pieces(header(1 << 23, 1024, scans=255))
    assert choose_scans([1 << 20] * (1 << 20)) == 1
