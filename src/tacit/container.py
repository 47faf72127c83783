"""The `.tacit` file: signature, version, chunks with checksums. docs/format.md is the specification.

    signature (8)  version (1)  H  [I] [Q] [A] [c] [i] [e] [x]  R R R ...        standard library only, no torch

Reading trusts nothing: a length is compared with what is there before it is used, a checksum is verified before its
bytes are interpreted, and whatever is wrong becomes a `CorruptFile` or `UnsupportedFile` that says the value and the
rule. `read(..., salvage=True)` takes what is whole and says what is not.
"""

from __future__ import annotations

import io
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, TypeVar

from tacit.errors import CorruptFile, FileError, ImageTooLarge, InvalidInput, UnsupportedFile

SIGNATURE = b"\x89TCT\r\n\x1a\n"
VERSION = 2  # the newest; a file says the first one that has what it needs
REGION = 1024  # pixels: no region is wider or taller
REGION_STEP = 64  # pixels: every region starts at a multiple of this, so that each has its own whole hyper-latents
CELL = 64  # pixels: the quality may vary from one square of this side to the next
MAX_PIXELS = 178_956_970  # where Pillow, too, refuses an image by default
MAX_REGIONS = 1 << 20  # of the format: bounds what a few bytes of header can make a reader allocate
MAX_CAPTION = 65_535  # bytes of UTF-8
MAX_METADATA = 16 << 20  # bytes of ICC, EXIF or XMP, each, after decompression

_MAX_NUMBER = (1 << 32) - 1  # the largest varint
_LEAST_CHUNK = 6  # type, one byte of length, checksum
_FIXED_RATE = 10_001  # stored in place of a quality
_STORED, _DEFLATED = 0, 1  # methods of metadata
_CONSTANT, _PNG = 0, 1  # methods of alpha

Buffer = bytes | bytearray | memoryview
T = TypeVar("T")


@dataclass(frozen=True)
class Field:
    """One number of the header: varint, or big-endian in `size` bytes, and the values it may have."""

    name: str
    size: int | None  # bytes; None: varint
    low: int
    high: int
    meaning: str


# The header chunk, in the order of the file. Writing, reading, checking and the table in docs/format.md follow it.
HEADER = (
    Field("width", None, 1, _MAX_NUMBER, "pixels"),
    Field("height", None, 1, _MAX_NUMBER, "pixels"),
    Field("mode", 1, 0, 7, "bit 0: 1 = RGB, 0 = greyscale; bit 1: an alpha channel; bit 2: a quality map"),
    Field("quality", None, 0, _FIXED_RATE, "hundredths, 0 to 10000; 10001 = the model has one fixed rate"),
    Field("model", 1, 0, 255, "identifier of the model's architecture"),
    Field("weights", 8, 0, (1 << 64) - 1, "first 8 bytes of the hash of what decoding needs"),
)

# Every chunk type and what it holds; the order is that of writing. The index stands first, so that the
# regions can be found in a file whose metadata are damaged.
CHUNKS = {
    "H": "header",
    "I": "index",
    "Q": "quality map",
    "A": "alpha",
    "c": "caption",
    "i": "icc",
    "e": "exif",
    "x": "xmp",
    "R": "regions",
}


@dataclass(frozen=True)
class Header:
    """What the header chunk says.

    width, height: pixels. color: RGB if true, else greyscale. quality: 0..100, or None for a model of one fixed rate;
    it is rounded to hundredths here, because that is what the file holds: an encoder takes the quality from its
    header and so uses the one that the decoder will see. weights_hash: 8 bytes. quality_map: None, or what is added to
    the quality of each 64x64 cell in raster order, -100..100, a signed byte each; it has a chunk of its own.

    Raises: InvalidInput for a value that the file cannot hold.
    """

    width: int
    height: int
    color: bool
    alpha: bool
    quality: float | None
    model_id: int
    weights_hash: bytes
    quality_map: bytes | None = None

    def __post_init__(self) -> None:
        if self.quality is not None:
            if not 0 <= self.quality <= 100:  # also false for NaN
                raise InvalidInput(f"quality {self.quality}: 0 to 100 are possible")
            object.__setattr__(self, "quality", round(self.quality * 100) / 100)
        if len(self.weights_hash) != 8:
            raise InvalidInput(f"weights hash of {len(self.weights_hash)} bytes, expected 8")
        if self.quality_map is not None:
            if self.quality is None:
                raise InvalidInput("a quality map for a model of one fixed rate")
            problem = _map_problem(self.quality_map, self.width, self.height)
            if problem:
                raise InvalidInput(f"quality map: {problem}")
        for field, number in self._numbers():
            if not field.low <= number <= field.high:
                raise InvalidInput(f"{field.name} {number}: {field.low} to {field.high} are possible")

    def _numbers(self) -> Iterator[tuple[Field, int]]:
        """Each field with the number that stands for it in the file."""
        quality = _FIXED_RATE if self.quality is None else round(self.quality * 100)
        weights = int.from_bytes(self.weights_hash, "big")
        mode = self.color | self.alpha << 1 | (self.quality_map is not None) << 2
        numbers = (self.width, self.height, mode, quality, self.model_id, weights)
        return zip(HEADER, numbers, strict=True)

    @property
    def version(self) -> int:
        """The first version of the format that has what the file needs."""
        return 1 if self.quality_map is None else 2

    def to_bytes(self) -> bytes:
        """The payload of the header chunk."""
        return b"".join(
            _varint(number) if field.size is None else number.to_bytes(field.size, "big")
            for field, number in self._numbers()
        )

    @staticmethod
    def from_bytes(payload: Buffer) -> tuple[Header, bool]:
        """The header in the payload of a header chunk, and whether a quality map belongs to it. Raises: CorruptFile."""
        view, position, numbers = memoryview(payload), 0, {}
        for field in HEADER:
            what = f"chunk H: {field.name}"
            if field.size is None:
                number, position = _read_varint(view, position, what)
            else:
                stored = view[position : position + field.size]
                if len(stored) != field.size:
                    raise CorruptFile(f"{what}: {len(stored)} bytes left, expected {field.size}")
                number, position = int.from_bytes(stored, "big"), position + field.size
            if not field.low <= number <= field.high:
                raise CorruptFile(f"{what} {number}: {field.low} to {field.high} are possible")
            numbers[field.name] = number
        if position != len(view):
            raise CorruptFile(f"chunk H: {len(view)} bytes, its fields have {position}")
        if numbers["mode"] & 4 and numbers["quality"] == _FIXED_RATE:
            raise CorruptFile(f"chunk H: mode {numbers['mode']}, a quality map for a model of one fixed rate")
        header = Header(
            width=numbers["width"],
            height=numbers["height"],
            color=bool(numbers["mode"] & 1),
            alpha=bool(numbers["mode"] & 2),
            quality=None if numbers["quality"] == _FIXED_RATE else numbers["quality"] / 100,
            model_id=numbers["model"],
            weights_hash=numbers["weights"].to_bytes(8, "big"),
        )
        return header, bool(numbers["mode"] & 4)


@dataclass(frozen=True)
class Metadata:
    """What a file may say about the picture. caption: at most 65,535 bytes of UTF-8; the others at most 16 MiB each."""

    caption: str | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


@dataclass(frozen=True)
class Container:
    """A whole file. alpha: the payload of its chunk, method byte included; regions: their entropy-coded bytes in
    raster order. After salvage a lost region, or lost alpha, is None and `damage` has a line on what was found."""

    header: Header
    metadata: Metadata
    alpha: bytes | None
    regions: tuple[bytes | None, ...]
    damage: tuple[str, ...] = ()


@dataclass(frozen=True)
class Region:
    """One independently coded rectangle, in pixels; left and top are multiples of 64, width and height at most 1024."""

    row: int
    column: int
    left: int
    top: int
    width: int
    height: int


def region_grid(width: int, height: int) -> tuple[Region, ...]:
    """The regions of an image of `width` x `height` pixels, in raster order.

    Raises: InvalidInput for an empty image, ImageTooLarge for more regions than a file may have.
    """
    if width < 1 or height < 1:
        raise InvalidInput(f"image of {width}x{height} pixels: at least 1x1 is needed")
    _count_regions(width, height)
    return tuple(
        Region(row, column, left, top, region_width, region_height)
        for row, (top, region_height) in enumerate(_cut(height))
        for column, (left, region_width) in enumerate(_cut(width))
    )


def _cut(length: int) -> list[tuple[int, int]]:
    """(start, length) of the fewest parts of at most 1024 pixels, equal but for the last, starting at multiples of 64.

    No part is empty: with n = ceil(length / 1024) the step is at most 1024, and (n - 1) * 1024 < length.
    """
    parts = -(-length // REGION)
    step = -(-length // (parts * REGION_STEP)) * REGION_STEP
    return [(start, min(step, length - start)) for start in range(0, length, step)]


def _count_regions(width: int, height: int) -> int:
    count = -(-width // REGION) * -(-height // REGION)
    if count > MAX_REGIONS:
        raise ImageTooLarge(f"image of {width}x{height} pixels: {count} regions, a file has at most {MAX_REGIONS}")
    return count


def is_tacit(prefix: Buffer) -> bool:
    """Whether a file that begins with `prefix` (8 bytes or more) is a .tacit file."""
    return bytes(prefix[: len(SIGNATURE)]) == SIGNATURE


def write(header: Header, metadata: Metadata, alpha: bytes | None, regions: Sequence[bytes]) -> bytes:
    """A whole file as bytes.

    alpha: the payload of the alpha chunk, or None; regions: one payload for each of `region_grid`.
    Raises: InvalidInput where the parts do not fit together or the metadata may not be stored.
    """
    count = _count_regions(header.width, header.height)
    if len(regions) != count:
        raise InvalidInput(f"{len(regions)} regions for {header.width}x{header.height} pixels, expected {count}")
    if header.alpha != (alpha is not None):
        raise InvalidInput(f"header says alpha={header.alpha}, but alpha is {'missing' if header.alpha else 'given'}")
    try:
        payloads = {
            "H": header.to_bytes(),
            "I": b"".join(_varint(len(region)) for region in regions) if count > 1 else None,
            "Q": None if header.quality_map is None else _pack("Q", header.quality_map),
            "A": alpha if alpha is None else _parse_alpha("A", memoryview(alpha)),
            "c": None if metadata.caption is None else _pack_caption(metadata.caption),
            "i": None if metadata.icc is None else _pack("i", metadata.icc),
            "e": None if metadata.exif is None else _pack("e", metadata.exif),
            "x": None if metadata.xmp is None else _pack("x", metadata.xmp),
        }
    except FileError as error:  # a rule of the format, here broken by the caller
        raise InvalidInput(str(error)) from None
    chunks = [_frame(kind, payload) for kind, payload in payloads.items() if payload is not None]
    chunks += [_frame("R", region) for region in regions]
    return b"".join([SIGNATURE, bytes([header.version]), *chunks])


def read(data: Buffer, *, salvage: bool = False, max_pixels: int | None = MAX_PIXELS) -> Container:
    """The whole file in `data`, every checksum verified.

    salvage: where the header is whole, take what else is whole; what is not becomes None, with a line in `damage`.
    max_pixels: the limit on width times height; None for that of the format alone (1,048,576 regions).
    Raises: CorruptFile, UnsupportedFile, ImageTooLarge.
    """
    view = memoryview(data).cast("B")
    front = _read_front(view, salvage, max_pixels)
    if salvage:
        regions, damage = _salvage_regions(view, front)
        return Container(front.header, front.metadata, front.alpha, regions, (*front.damage, *damage))
    return Container(front.header, front.metadata, front.alpha, _read_regions(view, front))


def read_header(source: Buffer | BinaryIO) -> tuple[Header, Metadata, dict[str, int]]:
    """The header, the metadata and how many bytes of the file each part takes, without reading a region.

    The sizes include each chunk's type, length and checksum; their keys are "signature", the values of `CHUNKS` and
    "other", always all of them, and for a whole file their sum is its size. A stream is read from where it stands,
    no further than the first region's length. There is no limit on pixels, as nothing of their number is allocated.

    Raises: CorruptFile, UnsupportedFile, ImageTooLarge (more regions than a file may have).
    """
    stream = io.BytesIO(source) if isinstance(source, bytes | bytearray | memoryview) else source
    view = memoryview(_take_front(stream))
    front = _read_front(view, salvage=False, max_pixels=None)
    _expect_region(view, front.end, 0, front.count)
    lengths = front.index or (_read_varint(view, front.end + 1, "chunk R 0: length")[0],)
    front.sizes["regions"] = sum(map(_framed, lengths))
    return front.header, front.metadata, front.sizes


# Chunks


def _varint(number: int) -> bytes:
    """LEB128, unsigned, in the fewest bytes."""
    if number > _MAX_NUMBER:
        raise InvalidInput(f"{number}: the format's numbers end at {_MAX_NUMBER}")
    stored = bytearray()
    while number > 0x7F:
        stored.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*stored, number])


def _read_varint(view: memoryview, position: int, what: str) -> tuple[int, int]:
    """The number at `position` and the position behind it."""
    number = 0
    for place, byte in enumerate(view[position : position + 5]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if place and not byte:
                raise CorruptFile(f"{what}: {number} is written in {place + 1} bytes, more than it needs")
            if number > _MAX_NUMBER:
                raise CorruptFile(f"{what}: {number}, at most {_MAX_NUMBER} is possible")
            return number, position + place + 1
    if len(view) - position < 5:
        raise CorruptFile(f"{what}: cut off at its end, byte {len(view)}")
    raise CorruptFile(f"{what}: a number of more than 5 bytes")


def _frame(kind: str, payload: Buffer) -> bytes:
    head = kind.encode("ascii") + _varint(len(payload))
    return b"".join([head, payload, zlib.crc32(payload, zlib.crc32(head)).to_bytes(4, "big")])


def _framed(length: int) -> int:
    """Bytes of a chunk whose payload has `length` bytes."""
    return 1 + len(_varint(length)) + length + 4


@dataclass(frozen=True)
class _Chunk:
    kind: str
    name: str  # for messages
    start: int
    end: int
    covered: memoryview  # what the checksum covers: type, length and payload
    payload: memoryview
    checksum: memoryview

    def verify(self) -> _Chunk:
        found, expected = zlib.crc32(self.covered), int.from_bytes(self.checksum, "big")
        if found != expected:
            raise CorruptFile(f"{self.name}: checksum {found:08x}, expected {expected:08x}")
        return self


def _chunk_at(view: memoryview, start: int, number: int | None = None) -> _Chunk:
    """The chunk that begins at `start`, its length checked against the file, its checksum not verified."""
    kind = chr(view[start])
    if not (kind.isascii() and kind.isalpha()):
        raise CorruptFile(f"byte {start}: 0x{view[start]:02x} is no chunk type, which is a letter")
    name = f"chunk {kind}" if number is None else f"chunk {kind} {number}"
    length, body = _read_varint(view, start + 1, f"{name}: length")
    end = body + length + 4
    if end > len(view):
        raise CorruptFile(f"{name}: {length} bytes and a checksum promised, {len(view) - body} bytes left in the file")
    return _Chunk(kind, name, start, end, view[start : end - 4], view[body : end - 4], view[end - 4 : end])


# What stands before the regions


@dataclass(frozen=True)
class _Front:
    header: Header
    metadata: Metadata
    alpha: bytes | None
    index: tuple[int, ...] | None  # bytes of each region's payload, where there are several regions
    count: int  # regions that the header's size implies
    sizes: dict[str, int]
    end: int  # where the first region begins, if nothing is damaged
    damage: tuple[str, ...]
    damaged_at: int | None  # where the last damaged chunk began: it may have been a region


def _read_front(view: memoryview, salvage: bool, max_pixels: int | None) -> _Front:
    position = _check_signature(view)
    header_chunk = _read_header_chunk(view, position)
    header, mapped = Header.from_bytes(header_chunk.payload)
    pixels = header.width * header.height
    if max_pixels is not None and pixels > max_pixels:
        raise ImageTooLarge(f"image of {header.width}x{header.height} = {pixels} pixels, the limit is {max_pixels}")
    count = _count_regions(header.width, header.height)

    damage: list[str] = []
    parts: dict[str, memoryview] = {}
    sizes = dict.fromkeys(["signature", *CHUNKS.values(), "other"], 0)
    sizes["signature"], sizes["header"] = position, header_chunk.end - header_chunk.start

    def report(error: FileError) -> None:
        if not salvage:
            raise error
        damage.append(str(error))

    position, damaged_at = header_chunk.end, None
    while position < len(view) and view[position] != ord("R"):
        try:
            chunk = _chunk_at(view, position).verify()
        except CorruptFile as error:
            report(error)
            following = _resume(view, position, may_search=damaged_at is None)
            position, damaged_at = following, position
            continue
        position = chunk.end
        if chunk.kind in parts or chunk.kind == "H":
            report(CorruptFile(f"{chunk.name}: a second one at byte {chunk.start}"))
        elif chunk.kind in CHUNKS:
            parts[chunk.kind] = chunk.payload
        elif chunk.kind.isupper():
            raise _unknown(chunk)
        sizes[CHUNKS.get(chunk.kind, "other")] += chunk.end - chunk.start

    if mapped != ("Q" in parts):  # without it nothing can be decoded, salvage or not
        raise CorruptFile(f"chunk Q: {'missing' if mapped else 'present'} in a file whose mode says otherwise")
    if mapped:
        header = replace(header, quality_map=_parse_map("Q", parts["Q"], header))
    for kind, needed, why in (("I", count > 1, f"regions={count}"), ("A", header.alpha, f"alpha={header.alpha}")):
        if needed != (kind in parts):
            report(CorruptFile(f"chunk {kind}: {'missing' if needed else 'present'} in a file with {why}"))

    def parse(kind: str, parser: Callable[[str, memoryview], T]) -> T | None:
        try:
            return parser(kind, parts[kind]) if kind in parts else None
        except FileError as error:
            report(error)
            return None

    metadata = Metadata(
        caption=parse("c", _parse_caption), icc=parse("i", _unpack), exif=parse("e", _unpack), xmp=parse("x", _unpack)
    )
    index = parse("I", lambda kind, payload: _parse_index(kind, payload, count)) if count > 1 else None
    alpha = parse("A", _parse_alpha) if header.alpha else None
    return _Front(header, metadata, alpha, index, count, sizes, position, tuple(damage), damaged_at)


_TEXT_MODE = {  # how a signature looks after a transfer that took the file for text
    SIGNATURE.replace(b"\r\n", b"\n"): "CR LF became LF",
    SIGNATURE.replace(b"\r\n", b"\r"): "CR LF became CR",
    SIGNATURE.replace(b"\n", b"\r\n"): "LF became CR LF",
    SIGNATURE.replace(b"\x1a\n", b"\x1a\r\n"): "LF became CR LF",
    SIGNATURE.replace(b"\n", b"\r"): "LF became CR",
    SIGNATURE.replace(b"\r", b"\n"): "CR became LF",
    b"\x09TCT": "the eighth bit was lost",
    b"\xc2\x89TCT": "bytes were recoded as UTF-8",
    b"\xef\xbf\xbdTCT": "bytes were replaced by U+FFFD",
    b"?TCT": "bytes were replaced by question marks",
}


def _check_signature(view: memoryview) -> int:
    """Raises unless this is a file of the version that is read here; returns where its chunks begin."""
    start = bytes(view[:16])
    if not start.startswith(SIGNATURE):
        if start and SIGNATURE.startswith(start):
            raise CorruptFile(f"the file ends after {len(start)} bytes, inside the signature")
        for damaged, how in _TEXT_MODE.items():
            if start.startswith(damaged):
                raise CorruptFile(f"signature {start[:8].hex(' ')}: damaged by a transfer in text mode ({how})")
        if start.startswith(SIGNATURE[:4]):
            raise CorruptFile(f"signature {start[:8].hex(' ')}, expected {SIGNATURE.hex(' ')}")
        raise UnsupportedFile(f"not a .tacit file: it begins with {start[:8].hex(' ') or 'nothing, it is empty'}")
    if len(view) == len(SIGNATURE):
        raise CorruptFile("the file ends after the signature")
    version = view[len(SIGNATURE)]
    if version > VERSION:
        raise UnsupportedFile(
            f"format version {version}: this tacit reads versions up to {VERSION}, a newer one is needed"
        )
    if version < 1:
        raise CorruptFile(f"format version {version}: the first one is 1")
    return len(SIGNATURE) + 1


def _read_header_chunk(view: memoryview, position: int) -> _Chunk:
    if position == len(view):
        raise CorruptFile("the file ends before its header")
    chunk = _chunk_at(view, position).verify()
    if chunk.kind != "H":
        raise CorruptFile(f"the first chunk is {chunk.kind}, expected H")
    return chunk


def _unknown(chunk: _Chunk) -> UnsupportedFile:
    return UnsupportedFile(f"{chunk.name}: unknown to this tacit and needed to read the file, a newer one is needed")


def _take_front(stream: BinaryIO) -> bytearray:
    """The bytes of a stream up to the first region's length, or to where no chunk can be: the parser says what is
    wrong. What is promised is read a piece at a time, as the promise may be false."""
    front = bytearray()

    def take(count: int) -> bytes:
        wanted = len(front) + count
        start = len(front)
        while len(front) < wanted and (piece := stream.read(min(wanted - len(front), 1 << 20))):
            front.extend(piece)
        return bytes(front[start:])

    start = take(len(SIGNATURE) + 1)
    if start[:-1] != SIGNATURE or not 1 <= start[-1] <= VERSION:
        take(16 - len(front))  # enough to tell what it is
        return front
    while (kind := take(1)).isalpha():
        length = b""
        while len(length) < 5 and (byte := take(1)):
            length += byte
            if byte < b"\x80":
                break
        if kind == b"R":
            break
        try:
            promised = _read_varint(memoryview(length), 0, "length")[0] + 4
        except CorruptFile:
            break
        if len(take(promised)) < promised:
            break
    return front


# Payloads


def check_caption(caption: str) -> None:
    """Raises: InvalidInput for a caption that a file may not hold, stored or not."""
    try:
        _pack_caption(caption)
    except CorruptFile as error:
        raise InvalidInput(str(error).removeprefix("chunk c: ")) from None


def _pack_caption(caption: str) -> bytes:
    try:
        payload = caption.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"caption: U+{ord(caption[error.start]):04X} at character {error.start} is half a pair "
            "of surrogates, no character"
        ) from None
    _parse_caption("c", memoryview(payload))
    return payload


def _parse_caption(kind: str, payload: memoryview) -> str:
    if len(payload) > MAX_CAPTION:
        raise CorruptFile(f"chunk {kind}: caption of {len(payload)} bytes, at most {MAX_CAPTION} are possible")
    try:
        caption = str(payload, "utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFile(f"chunk {kind}: caption is not UTF-8 at byte {error.start}") from None
    for place, character in enumerate(caption):
        if unicodedata.category(character) == "Cc" and character not in "\t\n\r":
            raise CorruptFile(
                f"chunk {kind}: control character U+{ord(character):04X} at character {place} of the "
                "caption, only tab, line feed and carriage return are possible"
            )
    return caption


def _pack(kind: str, data: bytes) -> bytes:
    if len(data) > MAX_METADATA:
        raise InvalidInput(f"{CHUNKS[kind]} of {len(data)} bytes, at most {MAX_METADATA} are possible")
    deflated = zlib.compress(data, 9)
    return bytes([_DEFLATED]) + deflated if len(deflated) < len(data) else bytes([_STORED]) + data


def _unpack(kind: str, payload: memoryview, limit: int = MAX_METADATA) -> bytes:
    name = f"chunk {kind}"
    if not payload:
        raise CorruptFile(f"{name}: empty, expected a method byte")
    method, stored = payload[0], payload[1:]
    if method == _STORED:
        data = bytes(stored[: limit + 1])
    elif method == _DEFLATED:
        inflater = zlib.decompressobj()
        try:
            data = inflater.decompress(stored, limit + 1)
        except zlib.error as error:
            raise CorruptFile(f"{name}: zlib cannot inflate it: {error}") from None
        if len(data) <= limit and not inflater.eof:
            raise CorruptFile(f"{name}: its zlib stream ends too early, after {len(data)} bytes of data")
        if inflater.unused_data:
            raise CorruptFile(f"{name}: {len(inflater.unused_data)} bytes after the end of its zlib stream")
    else:
        raise UnsupportedFile(f"{name}: method {method}, known are {_STORED} (as it is) and {_DEFLATED} (zlib)")
    if len(data) > limit:
        raise CorruptFile(f"{name}: more than {limit} bytes of data, the most that is possible")
    return data


def _parse_alpha(kind: str, payload: memoryview) -> bytes:
    """The payload itself, its method known; what a PNG holds is for `image.decode_alpha` to see."""
    if len(payload) < 2:
        raise CorruptFile(f"chunk {kind}: {len(payload)} bytes, expected a method byte and data")
    if payload[0] == _CONSTANT and len(payload) != 2:
        raise CorruptFile(f"chunk {kind}: {len(payload) - 1} bytes of data, constant alpha has 1")
    if payload[0] not in (_CONSTANT, _PNG):
        raise UnsupportedFile(f"chunk {kind}: method {payload[0]}, known are {_CONSTANT} (constant) and {_PNG} (PNG)")
    return bytes(payload)


def cells(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of the quality map of an image."""
    return -(-height // CELL), -(-width // CELL)


def _map_problem(offsets: Buffer, width: int, height: int) -> str | None:
    rows, columns = cells(width, height)
    if len(offsets) != rows * columns:
        return f"{len(offsets)} values, {rows}x{columns} cells need one each"
    worst = max((b - 256 * (b > 127) for b in set(offsets)), key=abs)
    return f"{worst}, -100 to 100 are possible" if abs(worst) > 100 else None


def _parse_map(kind: str, payload: memoryview, header: Header) -> bytes:
    rows, columns = cells(header.width, header.height)
    offsets = _unpack(kind, payload, rows * columns)
    problem = _map_problem(offsets, header.width, header.height)
    if problem:
        raise CorruptFile(f"chunk {kind}: {problem}")
    return offsets


def _parse_index(kind: str, payload: memoryview, count: int) -> tuple[int, ...]:
    if len(payload) < count:  # a byte each at least: this bounds the list below by what is really there
        raise CorruptFile(f"chunk {kind}: {len(payload)} bytes, {count} regions need a byte each at least")
    lengths, position = [], 0
    for number in range(count):
        length, position = _read_varint(payload, position, f"chunk {kind}: length of region {number}")
        lengths.append(length)
    if position != len(payload):
        raise CorruptFile(f"chunk {kind}: {len(payload)} bytes, its {count} lengths have {position}")
    return tuple(lengths)


# Regions


def _expect_region(view: memoryview, position: int, number: int, count: int) -> None:
    if position >= len(view):
        raise CorruptFile(f"the file ends after {number} of {count} regions")
    if view[position] != ord("R"):
        chunk = _chunk_at(view, position).verify()
        if chunk.kind.isupper() and chunk.kind not in CHUNKS:
            raise _unknown(chunk)
        raise CorruptFile(f"{chunk.name}: at byte {position}, where region {number} of {count} is expected")


def _read_regions(view: memoryview, front: _Front) -> tuple[bytes, ...]:
    position, left = front.end, len(view) - front.end
    if front.count > 1 and left < front.count * _LEAST_CHUNK:
        raise CorruptFile(f"{front.count} regions need {front.count * _LEAST_CHUNK} bytes at least, {left} are left")
    regions: list[bytes] = []
    for number in range(front.count):
        _expect_region(view, position, number, front.count)
        chunk = _chunk_at(view, position, number).verify()
        if front.index is not None and len(chunk.payload) != front.index[number]:
            raise CorruptFile(f"{chunk.name}: {len(chunk.payload)} bytes, the index says {front.index[number]}")
        regions.append(bytes(chunk.payload))
        position = chunk.end
    if position != len(view):
        raise CorruptFile(f"{len(view) - position} bytes after the last region")
    return tuple(regions)


# Salvage

_SEARCH = 1 << 18  # bytes through which a lost chunk is searched for
_SEARCH_COST = 1 << 26  # bytes whose checksum is computed in that search: a bound on its time, not on what it finds
_KNOWN_TYPE = re.compile(b"[%s]" % "".join(CHUNKS).encode())


def _resume(view: memoryview, start: int, may_search: bool) -> int:
    """Where to go on after the damaged chunk at `start`.

    At the next whole chunk: where the damaged one's length says, unless there is one before that, which shows that
    the length is what was damaged. The search is made once in a file, so that the time stays linear in the size.
    """
    following = len(view)
    try:
        promised = _chunk_at(view, start).end
        if promised < len(view):
            following = _chunk_at(view, promised).verify().start
    except CorruptFile:
        pass
    cost = _SEARCH_COST
    for match in _KNOWN_TYPE.finditer(view[start + 1 : min(following, start + _SEARCH)] if may_search else b""):
        try:
            chunk = _chunk_at(view, start + 1 + match.start())
            ends_well = chunk.end == len(view) or chr(view[chunk.end]) in CHUNKS
            if ends_well and len(chunk.covered) <= cost:
                cost -= len(chunk.covered)
                return chunk.verify().start
        except CorruptFile:
            continue
    return following


def _salvage_regions(view: memoryview, front: _Front) -> tuple[tuple[bytes | None, ...], list[str]]:
    if front.index is None:
        return _salvage_in_sequence(view, front)
    # Where the regions begin is known three times over: where the chunks before them end, by counting from the end
    # of the file, and at the last damaged chunk if that was a region. The truth is where the most regions are whole.
    starts = {front.end, len(view) - sum(map(_framed, front.index)), front.damaged_at or front.end}
    found = [_salvage_indexed(view, start, front.index) for start in sorted(starts) if start > 0]
    return max(found, key=lambda regions_damage: sum(region is not None for region in regions_damage[0]))


def _salvage_indexed(
    view: memoryview, position: int, index: tuple[int, ...]
) -> tuple[tuple[bytes | None, ...], list[str]]:
    """The regions whose lengths are in the index and the first of which begins at `position`."""
    regions: list[bytes | None] = []
    damage: list[str] = []
    for number, length in enumerate(index):
        if position >= len(view):
            damage.append(f"the file ends after {number} of {len(index)} regions")
            regions += [None] * (len(index) - number)
            break
        try:
            chunk = _chunk_at(view, position, number)
            if chunk.kind != "R":
                raise CorruptFile(f"{chunk.name}: at byte {position}, where region {number} is expected")
            if len(chunk.payload) != length:
                raise CorruptFile(f"{chunk.name}: {len(chunk.payload)} bytes, the index says {length}")
            regions.append(bytes(chunk.verify().payload))
        except CorruptFile as error:
            damage.append(f"region {number} is lost: {error}")
            regions.append(None)
        position += _framed(length)
    if position < len(view):
        damage.append(f"{len(view) - position} bytes after the last region")
    return tuple(regions), damage


def _salvage_in_sequence(view: memoryview, front: _Front) -> tuple[tuple[bytes | None, ...], list[str]]:
    """The regions of a file without an index: a single one, or several if exactly as many chunks reach the end.

    Otherwise which regions they are is not known, and a region in a wrong place would be worse than none.
    """
    regions: list[bytes | None] = []
    damage: list[str] = []
    position = front.end
    try:
        for number in range(front.count):
            _expect_region(view, position, number, front.count)
            chunk = _chunk_at(view, position, number)
            position = chunk.end
            try:
                regions.append(bytes(chunk.verify().payload))
            except CorruptFile as error:
                damage.append(f"region {number} is lost: {error}")
                regions.append(None)
    except FileError as error:
        damage.append(str(error))
    if position < len(view) and len(regions) == front.count:
        damage.append(f"{len(view) - position} bytes after the last region")
    if front.count > 1 and (len(regions) != front.count or position != len(view)):
        damage.append(f"without the index, {len(regions)} chunks cannot be told to be which of {front.count} regions")
        regions = []
    return (*regions, *[None] * (front.count - len(regions))), damage
