"""Reading a file: all of it, or its header and metadata alone."""

from __future__ import annotations

import io
from typing import BinaryIO

from tacit.container import signature
from tacit.container.chunks import REGION_CHUNK
from tacit.container.contents import Container, Metadata
from tacit.container.framing import Buffer, read_varint
from tacit.container.front import read_front
from tacit.container.header import Header
from tacit.container.region_chunks import expect_region, read_regions
from tacit.container.salvage import Salvage
from tacit.container.scans import stored_size
from tacit.errors import CorruptFile

MAX_PIXELS = 178_956_970
"""The usual limit on the pixels of an image, where Pillow, too, refuses an image by default."""


def read(
    data: Buffer, *, salvage: bool = False, partial: bool = False, max_pixels: int | None = MAX_PIXELS
) -> Container:
    """Read a file, every checksum verified.

    Args:
        data: The bytes of the file.
        salvage: Where the header is whole, take what else is whole; what is not becomes None, with a line in `damage`.
        partial: Take the beginning of a file. What is there of the chunk that its end is missing from is not verified.
        max_pixels: The limit on width times height; None for that of the format alone (1,048,576 regions).

    Raises:
        CorruptFile: The file is damaged or truncated; with `partial`, it ends before its first region.
        UnsupportedFile: This is not a `.tacit` file, or one that needs a newer reader.
        ImageTooLarge: The image has more pixels than the limit.
    """
    view = memoryview(data).cast("B")
    rescue = Salvage() if salvage else None
    front = read_front(view, max_pixels, rescue)
    damage: list[str] = []
    if rescue is None:
        regions, incomplete = read_regions(view, front.end, front.header, front.index, partial=partial)
    else:
        (regions, incomplete), damage = rescue.regions(view, front.end, front.header, front.index, partial)
        damage = rescue.damage + damage
    return Container(
        header=front.header,
        metadata=front.metadata,
        alpha=front.alpha,
        regions=regions,
        cut=incomplete,
        damage=tuple(damage),
    )


def beginning(data: Buffer, share: float) -> memoryview:
    """Return the beginning of a file: so much of it, and at least everything before the first region and its length.

    Args:
        data: The file, or its beginning.
        share: The part of the bytes, up to 1.
    """
    view = memoryview(data).cast("B")
    return view[: max(round(share * len(view)), (front_size(view) or 0) + 8)]


def front_size(data: Buffer) -> int | None:
    """Return how many bytes stand before the first region, or None if the data end before that.

    Where something else than a chunk begins, the front ends; reading it says what is wrong.

    Args:
        data: The file, or its beginning.
    """
    view = memoryview(data).cast("B")
    start = bytes(view[: len(signature.SIGNATURE)])
    if not signature.SIGNATURE.startswith(start):
        return 0
    position = signature.LENGTH
    while position < len(view):
        if not chr(view[position]).isalpha() or chr(view[position]) == REGION_CHUNK.letter:
            return position
        try:
            length, body = read_varint(view, position + 1, "length")
        except CorruptFile:
            return None if len(view) < position + 6 else position
        position = body + length + 4
    return None


def read_header(source: Buffer | BinaryIO) -> tuple[Header, Metadata, dict[str, int]]:
    """Read a file up to its first region.

    A stream is read from where it stands, no further than the first region's length. There is no limit on pixels, as
    nothing of their number is allocated.

    Args:
        source: The bytes of the file, or a binary stream.

    Returns:
        The header, the metadata, and how many bytes of the file each part takes. The sizes include each chunk's type,
        length and checksum. Their keys are "signature", the names of `CHUNKS` and "other", always all of them, and for
        a whole file their sum is its size.

    Raises:
        CorruptFile: The file is damaged or truncated.
        UnsupportedFile: This is not a `.tacit` file, or one that needs a newer reader.
        ImageTooLarge: The image has more regions than a file may have.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes | bytearray | memoryview) else source
    view = memoryview(_take_front(stream))
    front = read_front(view, max_pixels=None)
    if front.index is None or any(front.index) or not front.header.progressive:
        expect_region(view, front.end, 0, front.count)
    lengths = front.index or (read_varint(view, front.end + 1, "chunk R 0: length")[0],)
    sizes = front.sizes | {REGION_CHUNK.name: sum(stored_size(length, front.header.scans or 1) for length in lengths)}
    return front.header, front.metadata, sizes


def _take_front(stream: BinaryIO) -> bytearray:
    """Return the bytes of a stream up to the first region's length, or to the first byte that cannot begin a chunk.

    The parser reports what is wrong. Long payloads are read in pieces, because a stated length may be false.
    """
    front = bytearray()

    def take(count: int) -> bytes:
        wanted = len(front) + count
        start = len(front)
        while len(front) < wanted and (piece := stream.read(min(wanted - len(front), 1 << 20))):
            front.extend(piece)
        return bytes(front[start:])

    start = take(signature.LENGTH)
    if not signature.is_tacit(start) or not 1 <= start[-1] <= signature.VERSION:
        take(signature.TELLING - len(front))
        return front
    while (kind := take(1)).isalpha():
        length = b""
        while len(length) < 5 and (byte := take(1)):
            length += byte
            if byte < b"\x80":
                break
        if kind == REGION_CHUNK.letter.encode():
            break
        try:
            promised = read_varint(memoryview(length), 0, "length")[0] + 4
        except CorruptFile:
            break
        if len(take(promised)) < promised:
            break
    return front
