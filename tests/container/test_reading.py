"""Reading: what is written is read, and what is damaged or malformed is refused."""

from __future__ import annotations

import io
import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.containers import CLEAR, FILES, TWO, H, R, build, chunk, flips, header, pack, small, spans
from support.malformed_files import MALFORMED
from tacit.container import Container, Header, Metadata, beginning, front_size, read, read_header, region_grid, write
from tacit.errors import CorruptFile, FileError, ImageTooLarge, UnsupportedFile

SCANS = build(chunk("H", header(1025, 8, scans=2).to_bytes()), chunk("I", b"\6\6\6\6"), version=3)


blobs = st.none() | st.binary(max_size=200) | st.binary(max_size=9).map(lambda b: b * 100)


captions = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r"), max_size=60)


@st.composite
def containers(draw: st.DrawFn) -> Container:
    width, height = draw(st.integers(1, 4000)), draw(st.integers(1, 4000))
    alpha = draw(st.none() | st.binary(min_size=1, max_size=1).map(lambda b: b"\0" + b) | st.just(b"\1\x89PNG data"))
    return Container(
        header=Header(
            width=width,
            height=height,
            color=draw(st.booleans()),
            alpha=alpha is not None,
            quality=draw(st.none() | st.floats(0, 100)),
            model_id=draw(st.integers(0, 255)),
            weights_hash=draw(st.binary(min_size=8, max_size=8)),
            scans=draw(st.none() | st.integers(1, 20) | st.just(255)),
        ),
        metadata=Metadata(draw(captions), draw(blobs), draw(blobs), draw(blobs)),
        alpha=alpha,
        regions=tuple(draw(st.binary(max_size=200)) for _ in region_grid(width, height)),
    )


@settings(max_examples=150, deadline=None)
@given(containers())
def test_round_trip(parts: Container) -> None:
    data = pack(parts)
    assert read(data) == parts
    assert read(memoryview(bytearray(data)), salvage=True) == parts
    for source in (data, bytearray(data), memoryview(data), io.BytesIO(data)):
        head, metadata, sizes = read_header(source)
        assert (head, metadata) == (parts.header, parts.metadata)
        assert sum(sizes.values()) == len(data)


def test_read_header_stops_before_the_first_region() -> None:
    data = pack(small())
    first = next(start for kind, start, _ in spans(data) if kind == "R")
    stream = io.BytesIO(data)
    assert read_header(stream)[0] == small().header
    assert stream.tell() == first + 2
    assert read_header(data[: first + 2])[:2] == (small().header, small().metadata)


def test_header_with_too_many_pixels() -> None:
    bomb = build(chunk("H", header(1 << 16, 1 << 15).to_bytes()), R)
    for salvage in (False, True):
        with pytest.raises(
            ImageTooLarge, match="image must have at most 178956970 pixels, got 65536x32768 = 2147483648"
        ):
            read(bomb, salvage=salvage)
    with pytest.raises(ImageTooLarge, match="at most 99 pixels"):
        read(build(chunk("H", header(10, 10).to_bytes()), R), max_pixels=99)
    assert read(build(chunk("H", header(10, 10).to_bytes()), R), max_pixels=100).regions == (b"region",)


@pytest.mark.parametrize(
    ("width", "height", "error"),
    [(2**32 - 1, 2**32 - 1, ImageTooLarge), (2**32 - 1, 1024, ImageTooLarge), (1 << 24, 1 << 16, CorruptFile)],
)
def test_a_promise_of_many_regions_allocates_nothing(width: int, height: int, error: type[Exception]) -> None:
    data = build(chunk("H", header(width, height).to_bytes()), chunk("I", bytes(9)), R)
    tracemalloc.start()
    try:
        with pytest.raises(error):
            read(data, max_pixels=None)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        if error is CorruptFile:  # at most 2^20 regions: a reference to None for each; here an eighth of these
            data = build(chunk("H", header(width, height // 8).to_bytes()), chunk("I", bytes(9)), R)
            assert not any(read(data, salvage=True, max_pixels=None).regions)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_more_regions_than_bytes() -> None:
    count = len(region_grid(64 * 1024, 1024))
    data = build(chunk("H", header(64 * 1024, 1024).to_bytes()), chunk("I", bytes(count)), R)
    with pytest.raises(CorruptFile, match="64 regions must have at least 384 bytes, got 12"):
        read(data)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    data, message = MALFORMED[name]
    expected = UnsupportedFile if re.search("unknown to|method must", message) else CorruptFile
    with pytest.raises(expected, match=re.escape(message)):
        read(data)


def test_a_false_promise_to_a_stream_is_not_believed() -> None:
    """A chunk of 4 GiB that is not there: reading takes what is there."""
    data = build(H, b"e\xff\xff\xff\xff\x0f" + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(
            CorruptFile, match="chunk e: length of 4294967295 bytes and a checksum must fit in the file, got 100"
        ):
            read_header(io.BufferedReader(io.BytesIO(data)))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_every_truncation_is_an_error(data: bytes) -> None:
    first = next(start for kind, start, _ in spans(data) if kind == "R")
    for length in range(len(data)):
        with pytest.raises(FileError):
            read(data[:length])
        if length <= first:
            with pytest.raises(FileError):
                read_header(io.BytesIO(data[:length]))


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_every_flipped_bit_is_an_error(data: bytes) -> None:
    assert 40 < len(data) < 350
    first = next(start for kind, start, _ in spans(data) if kind == "R")
    for place, damaged in flips(data):
        with pytest.raises(FileError):
            read(damaged)
        if place < first:
            with pytest.raises(FileError):
                read_header(damaged)


@pytest.mark.parametrize("name", FILES)
def test_every_beginning_is_read_as_far_as_it_goes(name: str) -> None:
    """Of a file that was cut, everything before the first region must be there; of the regions, what there is."""
    data = FILES[name]
    whole = read(data)
    first = next(start for kind, start, _ in spans(data) if kind == "R")
    most: list[int] = []
    for length in range(len(data) + 1):
        assert front_size(data[:length]) == (first if length > first else None)
        if length <= first:
            with pytest.raises(FileError):
                read(data[:length], partial=True)
            continue
        part = read(data[:length], partial=True)
        assert (part.header, part.metadata, part.alpha) == (whole.header, whole.metadata, whole.alpha)
        for number, (found, right) in enumerate(zip(part.regions, whole.regions, strict=True)):
            assert right is not None
            assert right.startswith(found or b"")
            assert (number in part.cut) or found in (None, right)
        assert sum(region is not None for region in part.regions) >= len(part.cut)
        most.append(sum(len(region or b"") for region in part.regions))
    assert most == sorted(most)
    assert part == whole


def test_the_beginning_is_long_enough_to_be_read() -> None:
    data = FILES["six regions in scans"]
    assert bytes(beginning(data, 1)) == data
    assert len(beginning(data, 0.9)) == round(0.9 * len(data))
    for share in (0, 0.01, 0.3):
        read(beginning(data, share), partial=True)
    assert not beginning(b"", 0.5)


def test_scans_give_every_region_a_share() -> None:
    """A third of a progressive file has a third of each region; of another file, the first third of the regions."""
    regions = tuple(bytes([i]) * 600 for i in range(6))
    shares = {}
    for scans in (None, 12):
        data = write(header(2100, 1030, scans=scans), Metadata(), None, regions)
        part = read(data[: len(data) // 3], partial=True)
        shares[scans] = [len(region or b"") / 600 for region in part.regions]
    assert shares[None][0] == 1
    assert shares[None][-1] == 0
    assert max(shares[12]) < 0.45
    assert min(shares[12]) > 0.15


@pytest.mark.parametrize("name", ["progressive", "six regions in scans"])
def test_what_is_whole_is_verified_in_a_beginning(name: str) -> None:
    data = FILES[name]
    *_, (_, start, _) = spans(data)
    cut = data[: start + 3]
    for place, damaged in flips(cut):
        if place < start:
            with pytest.raises(FileError):
                read(damaged, partial=True)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from([b"", build(), build(H), build(TWO), build(CLEAR), SCANS]), st.booleans()
)
def test_random_bytes(tail: bytes, start: bytes, salvage: bool) -> None:
    front_size(start + tail)
    for reader in (lambda data: read(data, salvage=salvage), lambda data: read(data, partial=True), read_header):
        try:
            reader(start + tail)
        except (FileError, ImageTooLarge):
            continue


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("HIAciexRzQ"), st.binary(max_size=24) | st.just(header(1025, 9).to_bytes())),
        max_size=8,
    ),
    st.booleans(),
)
def test_random_chunks(chunks: list[tuple[str, bytes]], salvage: bool) -> None:
    """Whole checksums around senseless contents."""
    data = build(H, *(chunk(kind, payload) for kind, payload in chunks))
    for reader in (lambda data: read(data, salvage=salvage), read_header):
        try:
            reader(data)
        except (FileError, ImageTooLarge):
            continue
