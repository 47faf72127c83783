"""The file format: what is written is read, what is damaged is refused or salvaged, and docs/format.md tells the truth.

`python tests/container/test_container.py` prints the worked example of docs/format.md.
"""

from __future__ import annotations

import io
import itertools
import re
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.paths import ROOT
from tacit import container
from tacit.container import Container, Header, Metadata, is_tacit, read, read_header, region_grid, write
from tacit.errors import CorruptFile, FileError, ImageTooLarge, InvalidInput, UnsupportedFile

FORMAT_PAGE = ROOT / "docs" / "format.md"
HASH = bytes.fromhex("8c5f01a2b3d4e6f7")


def header(width: int = 768, height: int = 512, **changes: object) -> Header:
    values: dict[str, object] = {
        "width": width, "height": height, "color": True, "alpha": False, "quality": 50.0, "model_id": 1,
        "weights_hash": HASH,
    }  # fmt: skip
    return Header(**(values | changes))  # type: ignore[arg-type]


def small(width: int = 2100, height: int = 1030, **changes: object) -> Container:
    """A small file with every kind of chunk; by default 3 x 2 regions."""
    regions = tuple(bytes([40 + i]) * (3 + i) for i in range(len(region_grid(width, height))))
    metadata = Metadata(caption="a dog\n", icc=b"icc" * 9, exif=b"MM\0*", xmp=b"<x/>")
    return Container(header(width, height, alpha=True, **changes), metadata, b"\x00\x80", regions)


def pack(parts: Container) -> bytes:
    return write(parts.header, parts.metadata, parts.alpha, [r for r in parts.regions if r is not None])


def chunk(kind: str, payload: bytes) -> bytes:
    """A chunk by the words of docs/format.md, apart from the code under test. Payloads of less than 16,384 bytes."""
    size = len(payload)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    covered = kind.encode() + length + payload
    return covered + zlib.crc32(covered).to_bytes(4, "big")


def build(*chunks: bytes, version: int = 1) -> bytes:
    return b"\x89TCT\r\n\x1a\n" + bytes([version]) + b"".join(chunks)


H = chunk("H", header().to_bytes())
MAPPED = header(100, 64, quality_map=b"\x05\xfb")
R = chunk("R", b"region")


def spans(data: bytes) -> list[tuple[str, int, int]]:
    """(type, start, end) of each chunk of a whole file."""
    found, position = [], 9
    while position < len(data):
        one = container._chunk_at(memoryview(data), position)
        found.append((one.kind, one.start, one.end))
        position = one.end
    return found


def flips(data: bytes) -> list[tuple[int, bytes]]:
    """(byte, file) for each file that differs in one bit."""
    number = int.from_bytes(data, "big")
    return [(len(data) - 1 - bit // 8, (number ^ 1 << bit).to_bytes(len(data), "big")) for bit in range(8 * len(data))]


# What is written is read

blobs = st.none() | st.binary(max_size=200) | st.binary(max_size=9).map(lambda b: b * 100)
captions = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r"), max_size=60)


@st.composite
def containers(draw: st.DrawFn) -> Container:
    width, height = draw(st.integers(1, 4000)), draw(st.integers(1, 4000))
    alpha = draw(st.none() | st.binary(min_size=1, max_size=1).map(lambda b: b"\0" + b) | st.just(b"\1\x89PNG data"))
    return Container(
        Header(
            width, height, draw(st.booleans()), alpha is not None, draw(st.none() | st.floats(0, 100)),
            draw(st.integers(0, 255)), draw(st.binary(min_size=8, max_size=8)),
        ),
        Metadata(draw(captions), draw(blobs), draw(blobs), draw(blobs)),
        alpha,
        tuple(draw(st.binary(max_size=200)) for _ in region_grid(width, height)),
    )  # fmt: skip


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


def test_extreme_headers() -> None:
    most = 2**32 - 1
    for width, height in ((1, 1), (most, 1024), (1 << 20, 1 << 20)):
        if width * height == 1:
            assert read(write(header(1, 1), Metadata(), None, [b""])).header == header(1, 1)
        assert Header.from_bytes(header(width, height).to_bytes()) == (header(width, height), False)
    assert Header.from_bytes(header(quality=None).to_bytes())[0].quality is None


def test_quality_is_rounded_before_anyone_uses_it() -> None:
    assert header(quality=33.333333).quality == 33.33
    assert header(quality=100).quality == 100.0
    assert read(write(header(quality=0.004), Metadata(), None, [b""])).header.quality == 0.0


@pytest.mark.parametrize(("width", "height"), [(768, 512), (1024, 1024), (1, 1)])
def test_a_photo_pays_at_most_40_bytes(width: int, height: int) -> None:
    region = bytes(2**21 - 1)  # more than a region's pixels can need
    assert len(write(header(width, height, quality=100.0), Metadata(), None, [region])) - len(region) <= 40


def test_sizes_of_the_parts() -> None:
    parts = small()
    data = pack(parts)
    found = dict.fromkeys(["signature", *container.CHUNKS.values(), "other"], 0) | {"signature": 9}
    for kind, start, end in spans(data):
        found[container.CHUNKS[kind]] += end - start
    assert read_header(data)[2] == found
    extended = data[: spans(data)[0][2]] + chunk("z", b"hello") + data[spans(data)[0][2] :]
    assert read_header(extended)[2] == found | {"other": 11}


def test_read_header_stops_before_the_first_region() -> None:
    data = pack(small())
    first = next(start for kind, start, _ in spans(data) if kind == "R")
    stream = io.BytesIO(data)
    assert read_header(stream)[0] == small().header
    assert stream.tell() == first + 2
    assert read_header(data[: first + 2])[:2] == (small().header, small().metadata)


def test_is_tacit() -> None:
    data = pack(small())
    assert is_tacit(data)
    assert is_tacit(memoryview(data)[:8])
    assert not is_tacit(data[:7])
    assert not is_tacit(b"\x89PNG\r\n\x1a\n")


# Regions


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 9000) | st.integers(1, 1 << 20), st.integers(1, 3000))
def test_region_grid(width: int, height: int) -> None:
    grid = region_grid(width, height)
    columns = [r for r in grid if r.row == 0]
    rows = [r for r in grid if r.column == 0]
    assert len(columns) == -(-width // 1024)
    assert len(rows) == -(-height // 1024)
    assert [(r.row, r.column) for r in grid] == [(i, j) for i in range(len(rows)) for j in range(len(columns))]
    assert all(r.left == columns[r.column].left and r.width == columns[r.column].width for r in grid)
    assert all(r.top == rows[r.row].top and r.height == rows[r.row].height for r in grid)
    for line, length in (
        ([(r.left, r.width) for r in columns], width),
        ([(r.top, r.height) for r in rows], height),
    ):
        assert [start for start, _ in line] == [0, *itertools.accumulate(size for _, size in line)][:-1]
        assert sum(size for _, size in line) == length
        assert all(start % 64 == 0 and 1 <= size <= 1024 for start, size in line)
        assert len({size for _, size in line[:-1]}) <= 1
        assert len(line) == 1 or line[-1][1] <= line[0][1]


def test_region_grid_by_hand() -> None:
    assert [(r.left, r.width) for r in region_grid(1025, 1)] == [(0, 576), (576, 449)]
    assert [(r.top, r.height) for r in region_grid(1, 2100)] == [(0, 704), (704, 704), (1408, 692)]
    assert region_grid(1024, 1024) == (container.Region(0, 0, 0, 0, 1024, 1024),)


def test_region_grid_refuses() -> None:
    with pytest.raises(InvalidInput, match="0x5 pixels"):
        region_grid(0, 5)
    with pytest.raises(ImageTooLarge, match="1049600 regions"):
        region_grid(1025 * 1024, 1 << 20)


# What may not be written


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width 0: 1 to 4294967295"),
        ({"height": 1 << 32}, "height 4294967296"),
        ({"height": -5}, "height -5"),
        ({"quality": 100.01}, "quality 100.01: 0 to 100"),
        ({"quality": -0.5}, "quality -0.5"),
        ({"quality": float("nan")}, "quality nan"),
        ({"model_id": 256}, "model 256: 0 to 255"),
        ({"weights_hash": b"short"}, "weights hash of 5 bytes, expected 8"),
    ],
)
def test_header_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        header(**changes)  # type: ignore[arg-type]


def test_write_refuses_parts_that_do_not_fit() -> None:
    with pytest.raises(InvalidInput, match="2 regions for 768x512 pixels, expected 1"):
        write(header(), Metadata(), None, [b"", b""])
    with pytest.raises(InvalidInput, match="alpha is missing"):
        write(header(alpha=True), Metadata(), None, [b""])
    with pytest.raises(InvalidInput, match="alpha is given"):
        write(header(), Metadata(), b"\0\xff", [b""])
    with pytest.raises(InvalidInput, match="method 9"):
        write(header(alpha=True), Metadata(), b"\x09\xff", [b""])
    with pytest.raises(ImageTooLarge):
        write(header(2**32 - 1, 2**32 - 1), Metadata(), None, [])


@pytest.mark.parametrize("field", ["icc", "exif", "xmp"])
def test_metadata_limit(field: str) -> None:
    most = bytes(16 << 20)
    assert read(write(header(), Metadata(**{field: most}), None, [b""])).metadata == Metadata(**{field: most})
    with pytest.raises(InvalidInput, match=f"{field} of 16777217 bytes, at most 16777216"):
        write(header(), Metadata(**{field: most + b"\0"}), None, [b""])


CAPTIONS = [
    ("a" * 1_000_000, "caption of 1000000 bytes, at most 65535"),
    ("é" * 32_768, "caption of 65536 bytes"),
    ("a\x1b[2Jb", "control character U+001B at character 1"),
    ("nul\0", "control character U+0000 at character 3"),
    ("\x7f", "control character U+007F"),
    ("\x9b", "control character U+009B"),
]


@pytest.mark.parametrize(("caption", "message"), CAPTIONS)
def test_bad_captions(caption: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        write(header(), Metadata(caption=caption), None, [b""])
    data = build(H, container._frame("c", caption.encode()), R)
    for reader in (read, read_header):
        with pytest.raises(CorruptFile, match=re.escape(message)):
            reader(data)
    saved = read(data, salvage=True)
    assert saved.regions == (b"region",)
    assert saved.metadata == Metadata()
    assert message in saved.damage[0]


def test_captions_that_are_no_text() -> None:
    with pytest.raises(InvalidInput, match="U\\+D800 at character 2"):
        write(header(), Metadata(caption="ab\ud800"), None, [b""])
    with pytest.raises(CorruptFile, match="not UTF-8 at byte 2"):
        read(build(H, chunk("c", b"ab\xff"), R))


def test_longest_caption() -> None:
    metadata = Metadata(caption="é\n" * 21_845)
    assert read(write(header(), metadata, None, [b""])).metadata == metadata


# Other files


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        b"GIF89a",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"hello",
        bytes(100),
    ],
)
@pytest.mark.parametrize("salvage", [False, True])
def test_other_formats(data: bytes, salvage: bool) -> None:
    with pytest.raises(UnsupportedFile, match=r"not a \.tacit file"):
        read(data, salvage=salvage)
    with pytest.raises(UnsupportedFile, match=r"not a \.tacit file"):
        read_header(io.BytesIO(data))


@pytest.mark.parametrize(
    ("damage", "how"),
    [
        (lambda data: data.replace(b"\r\n", b"\n"), "CR LF became LF"),
        (lambda data: data.replace(b"\n", b"\r\n"), "LF became CR LF"),
        (lambda data: re.sub(b"(?<!\r)\n", b"\r\n", data), "LF became CR LF"),
        (lambda data: data.replace(b"\r", b"\n"), "CR became LF"),
        (lambda data: data.replace(b"\n", b"\r"), "LF became CR"),
        (lambda data: bytes(byte & 0x7F for byte in data), "eighth bit"),
        (lambda data: data.decode("latin-1").encode(), "UTF-8"),
        (lambda data: data.decode("utf-8", "replace").encode(), "U+FFFD"),
        (lambda data: data.decode("ascii", "replace").replace("\ufffd", "?").encode(), "question marks"),
    ],
)
def test_text_mode_transfer_is_recognised(damage: object, how: str) -> None:
    with pytest.raises(CorruptFile, match="text mode") as caught:
        read(damage(pack(small())))  # type: ignore[operator]
    assert how in str(caught.value)


def test_newer_and_impossible_versions() -> None:
    for reader in (read, read_header):
        with pytest.raises(UnsupportedFile, match="format version 3: this tacit reads versions up to 2"):
            reader(build(H, R, version=3))
        with pytest.raises(CorruptFile, match="format version 0"):
            reader(build(H, R, version=0))


def test_header_with_too_many_pixels() -> None:
    bomb = build(chunk("H", header(1 << 16, 1 << 15).to_bytes()), R)
    for salvage in (False, True):
        with pytest.raises(ImageTooLarge, match="65536x32768 = 2147483648 pixels, the limit is 178956970"):
            read(bomb, salvage=salvage)
    with pytest.raises(ImageTooLarge, match="the limit is 99"):
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
        if error is CorruptFile:  # at most 2^20 regions: a reference to None for each
            assert not any(read(data, salvage=True, max_pixels=None).regions)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_more_regions_than_bytes() -> None:
    count = len(region_grid(64 * 1024, 1024))
    data = build(chunk("H", header(64 * 1024, 1024).to_bytes()), chunk("I", bytes(count)), R)
    with pytest.raises(CorruptFile, match="64 regions need 384 bytes at least, 12 are left"):
        read(data)


# Malformed files, each with its message


def deflated(data: bytes) -> bytes:
    return b"\1" + zlib.compress(data)


TWO = chunk("H", header(1025, 8).to_bytes())  # a header of two regions
CLEAR = chunk("H", header(alpha=True).to_bytes())  # one that promises alpha
MALFORMED = {
    "no header": (build(), "ends before its header"),
    "region first": (build(R), "first chunk is R, expected H"),
    "no region": (build(H), "ends after 0 of 1 regions"),
    "second header": (build(H, H, R), "chunk H: a second one"),
    "second caption": (build(H, chunk("c", b"a"), chunk("c", b"b"), R), "chunk c: a second one"),
    "no letter": (build(H, chunk("1", b""), R), "0x31 is no chunk type"),
    "trailing bytes": (build(H, R) + b"\0", "1 bytes after the last region"),
    "trailing region": (build(H, R, R), "12 bytes after the last region"),
    "caption behind": (build(TWO, chunk("I", b"\6\6"), R, chunk("c", b"abcdef")), "chunk c: at byte"),
    "checksum": (build(H, R[:-1] + b"\0"), "chunk R 0: checksum af514e3d, expected af514e00"),
    "length": (build(H, b"R\x7fabc"), "chunk R 0: 127 bytes and a checksum promised, 3 bytes left"),
    "long length": (build(H, b"R" + b"\xff" * 6), "chunk R 0: length: a number of more than 5 bytes"),
    "large length": (build(H, b"R\xff\xff\xff\xff\x10"), "at most 4294967295"),
    "loose length": (build(H, b"R\x86\x00region" + bytes(4)), "written in 2 bytes, more than it needs"),
    "cut length": (build(H, b"R\xff"), "chunk R 0: length: cut off"),
    "long header": (build(chunk("H", header().to_bytes() + b"\0"), R), "chunk H: 17 bytes, its fields have 16"),
    "short header": (build(chunk("H", header().to_bytes()[:-1]), R), "weights: 7 bytes left, expected 8"),
    "empty header": (build(chunk("H", b""), R), "chunk H: width: cut off"),
    "no width": (build(chunk("H", b"\0" + header().to_bytes()[2:]), R), "width 0: 1 to"),
    "mode": (build(chunk("H", header(1, 1).to_bytes()[:2] + b"\x08" + header(1, 1).to_bytes()[3:]), R), "mode 8: 0 to"),
    "no map": (build(chunk("H", MAPPED.to_bytes()), R, version=2), "chunk Q: missing"),
    "needless map": (build(H, chunk("Q", b"\0\0"), R, version=2), "chunk Q: present"),
    "short map": (build(chunk("H", MAPPED.to_bytes()), chunk("Q", b"\0\1"), R, version=2), "chunk Q: 1 values, 1x2"),
    "wrong map": (
        build(chunk("H", MAPPED.to_bytes()), chunk("Q", b"\0\x9b\x9c"), R, version=2),
        "chunk Q: -101, -100 to 100 are",
    ),
    "huge map": (
        build(chunk("H", MAPPED.to_bytes()), chunk("Q", b"\1" + zlib.compress(bytes(10_000))), R, version=2),
        "chunk Q: more than 2 bytes",
    ),
    "map of a fixed rate": (
        build(chunk("H", MAPPED.to_bytes()[:3] + b"\x91\x4e" + MAPPED.to_bytes()[5:]), R, version=2),
        "a quality map for a model of one fixed rate",
    ),
    "quality": (build(chunk("H", b"\1\1\1\x92\x4e\1" + HASH), R), "quality 10002: 0 to 10001"),
    "no index": (build(TWO, R, R), "chunk I: missing in a file with regions=2"),
    "needless index": (build(H, chunk("I", b"\6"), R), "chunk I: present in a file with regions=1"),
    "short index": (build(TWO, chunk("I", b"\6"), R, R), "chunk I: 1 bytes, 2 regions need"),
    "cut index": (build(TWO, chunk("I", b"\6\x86"), R, R), "length of region 1: cut off"),
    "long index": (build(TWO, chunk("I", b"\6\6\6"), R, R), "chunk I: 3 bytes, its 2 lengths have 2"),
    "wrong index": (build(TWO, chunk("I", b"\6\7"), R, R), "chunk R 1: 6 bytes, the index says 7"),
    "no alpha": (build(CLEAR, R), "chunk A: missing in a file with alpha=True"),
    "needless alpha": (build(H, chunk("A", b"\0\0"), R), "chunk A: present in a file with alpha=False"),
    "empty alpha": (build(CLEAR, chunk("A", b""), R), "chunk A: 0 bytes"),
    "long alpha": (build(CLEAR, chunk("A", b"\0\1\2"), R), "chunk A: 2 bytes of data, constant alpha has 1"),
    "alpha method": (build(CLEAR, chunk("A", b"\7\1"), R), "chunk A: method 7, known are"),
    "empty icc": (build(H, chunk("i", b""), R), "chunk i: empty"),
    "icc method": (build(H, chunk("i", b"\2abc"), R), "chunk i: method 2, known are"),
    "no zlib": (build(H, chunk("e", b"\1abcdefgh"), R), "chunk e: zlib cannot inflate it"),
    "cut zlib": (build(H, chunk("x", deflated(b"abc" * 50)[:-3]), R), "chunk x: its zlib stream ends too early"),
    "zlib and more": (build(H, chunk("x", deflated(b"abc") + b"!!"), R), "chunk x: 2 bytes after the end"),
    "critical": (build(H, chunk("Z", b"?"), R), "chunk Z: unknown to this tacit"),
    "critical region": (build(H, chunk("c", b"a"), chunk("Z", b"?")), "chunk Z: unknown to this tacit"),
    "critical behind": (build(TWO, chunk("I", b"\6\6"), R, chunk("Z", b"012345")), "chunk Z: unknown to this tacit"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    data, message = MALFORMED[name]
    expected = UnsupportedFile if re.search("unknown to|known are", message) else CorruptFile
    with pytest.raises(expected, match=re.escape(message)):
        read(data)


@pytest.mark.parametrize("kind", ["i", "e", "x"])
def test_zlib_bomb(kind: str) -> None:
    bomb = container._frame(kind, b"\1" + zlib.compress(bytes((16 << 20) + 1), 9))
    assert len(bomb) < 20_000
    for reader in (read, read_header):
        with pytest.raises(CorruptFile, match=f"chunk {kind}: more than 16777216 bytes"):
            reader(build(H, bomb, R))
    huge = zlib.compressobj(9)
    payload = b"\1" + b"".join([*(huge.compress(bytes(1 << 20)) for _ in range(100)), huge.flush()])
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFile, match="more than 16777216 bytes"):
            read(build(H, container._frame(kind, payload), R))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_false_promise_to_a_stream_is_not_believed() -> None:
    """A chunk of 4 GiB that is not there: reading takes what is there."""
    data = build(H, b"e\xff\xff\xff\xff\x0f" + bytes(100))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFile, match="chunk e: 4294967295 bytes and a checksum promised, 100 bytes left"):
            read_header(io.BufferedReader(io.BytesIO(data)))  # type: ignore[arg-type]
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_unknown_ancillary_chunks_are_skipped() -> None:
    data = build(chunk("z", b"first"), H, R)
    with pytest.raises(CorruptFile, match="first chunk is z"):
        read(data)
    for salvage in (False, True):
        parts = read(build(H, chunk("z", b"?"), chunk("c", b"a dog"), chunk("z", b""), R), salvage=salvage)
        assert parts == Container(header(), Metadata(caption="a dog"), None, (b"region",))


# Damage


FILES = {
    "one region": pack(small(70, 50)),
    "six regions": pack(small()),
    "bare": write(header(), Metadata(), None, [b"region"]),
}


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
    assert 40 < len(data) < 250
    first = next(start for kind, start, _ in spans(data) if kind == "R")
    for place, damaged in flips(data):
        with pytest.raises(FileError):
            read(damaged)
        if place < first:
            with pytest.raises(FileError):
                read_header(damaged)


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


def test_a_quality_map_comes_back() -> None:
    for offsets in (b"\x05\xfb", b"\x9c\x64", bytes(2)):
        mapped = header(100, 64, quality_map=offsets)
        data = write(mapped, Metadata(), None, [b"region"])
        assert data[8] == 2
        assert [kind for kind, *_ in spans(data)] == ["H", "Q", "R"]
        assert read(data).header == read_header(data)[0] == read_header(io.BytesIO(data))[0] == mapped
        assert sum(read_header(data)[2].values()) == len(data)
    assert write(header(100, 64), Metadata(), None, [b"region"])[8] == 1
    large = header(6400, 6400, quality_map=bytes(range(100)) * 100)
    regions = [b"region"] * len(region_grid(6400, 6400))
    assert read(write(large, Metadata(), None, regions)).header == large


@pytest.mark.parametrize("offsets", [b"", b"\0", bytes(3), b"\x65\0", b"\0\x9b"])
def test_maps_that_do_not_fit(offsets: bytes) -> None:
    with pytest.raises(InvalidInput, match="quality map"):
        header(100, 64, quality_map=offsets)
    with pytest.raises(InvalidInput, match="fixed rate"):
        header(100, 64, quality=None, quality_map=bytes(2))


def test_without_its_map_nothing_is_salvaged() -> None:
    data = bytearray(write(MAPPED, Metadata(), None, [b"region"]))
    start = next(start for kind, start, _ in spans(bytes(data)) if kind == "Q")
    data[start + 3] ^= 1
    with pytest.raises(CorruptFile, match="chunk Q"):
        read(data, salvage=True)


def test_salvage_says_what_is_lost() -> None:
    data = bytearray(FILES["six regions"])
    starts = [start for kind, start, _ in spans(bytes(data)) if kind == "R"]
    data[starts[3] + 2] ^= 1
    data[starts[4] + 1] ^= 0x40
    saved = read(data, salvage=True)
    assert [region is None for region in saved.regions] == [False, False, False, True, True, False]
    assert re.fullmatch("region 3 is lost: chunk R 3: checksum [0-9a-f]{8}, expected [0-9a-f]{8}", saved.damage[0])
    assert saved.damage[1].startswith("region 4 is lost: chunk R 4: ")
    assert len(saved.damage) == 2


def test_salvage_never_moves_a_region() -> None:
    """Regions of equal lengths, the first one's type and the end of the file gone: the others keep their places."""
    regions = [bytes([i]) * 5 for i in range(6)]
    data = bytearray(write(header(2100, 1030), Metadata(), None, regions))
    first = next(start for kind, start, _ in spans(bytes(data)) if kind == "R")
    data[first] ^= 1
    assert read(data, salvage=True).regions == (None, *regions[1:])
    assert read(data[:-3], salvage=True).regions == (None, *regions[1:5], None)


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


# Anything at all


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", build(), build(H), build(TWO), build(CLEAR)]), st.booleans())
def test_random_bytes(tail: bytes, start: bytes, salvage: bool) -> None:
    for reader in (lambda data: read(data, salvage=salvage), read_header):
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


# docs/format.md


def example() -> str:
    """A small file with each of its bytes explained."""
    parts = Container(header(1200, 8, quality=62.5), Metadata(caption="a dog"), None, (b"\x5e\x01\x77", b"\x19\x80"))
    data = pack(parts)
    lines = ["offset  bytes                    meaning"]
    position = 0

    def line(size: int, meaning: str) -> None:
        nonlocal position
        lines.append(f"{position:6d}  {data[position : position + size].hex(' '):<23}  {meaning}")
        position += size

    line(8, "signature")
    line(1, "format version 1")
    for kind, _, end in spans(data):
        payload = end - 4 - position - 2
        line(1, f"chunk {kind}: {container.CHUNKS[kind]}")
        line(1, f"length {payload}")
        if kind == "H":
            for field, number in parts.header._numbers():
                size = field.size or len(container._varint(number))
                line(size, f"{field.name} {number:x}" if size == 8 else f"{field.name} {number}")
        elif kind == "I":
            line(1, "region 0: 3 bytes")
            line(1, "region 1: 2 bytes")
        else:
            line(payload, '"a dog"' if kind == "c" else "entropy-coded bytes (made up here)")
        line(4, "checksum")
    assert position == len(data)
    return "\n".join(lines)


def test_format_page_shows_a_real_file() -> None:
    page = FORMAT_PAGE.read_text(encoding="utf-8")
    assert example() in page, f"docs/format.md needs this example:\n{example()}"
    dump = re.search(r"offset  bytes.*?```", page, re.DOTALL)
    assert dump is not None
    columns = [line[8:31] for line in dump.group().splitlines()[1:-1]]
    parts = read(bytes.fromhex("".join(columns)))
    assert parts.metadata.caption == "a dog"
    assert (parts.header.width, parts.header.height, parts.header.quality) == (1200, 8, 62.5)
    assert parts.regions == (b"\x5e\x01\x77", b"\x19\x80")


def table(title: str) -> list[list[str]]:
    """The rows of the first table under a heading of docs/format.md."""
    section = re.split(rf"^#+ {re.escape(title)}$", FORMAT_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows is not None
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.group().splitlines()[2:]]


def test_format_page_tells_the_header() -> None:
    expected = [
        [f.name, "varint" if f.size is None else f"{f.size}", f"{f.low} to {f.high}", f.meaning]
        for f in container.HEADER
    ]
    expected[-1][2] = "any"
    assert table("H: header") == expected


def test_format_page_tells_the_chunks() -> None:
    assert {row[0].strip("`"): row[1] for row in table("Types")} == container.CHUNKS


if __name__ == "__main__":
    print(example())
