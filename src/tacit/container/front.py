"""The front of a file, which is all that stands before the regions: signature, version, header and further chunks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from tacit.container import signature
from tacit.container.chunks import BODY, CHUNKS, HEADER_CHUNK, check_known
from tacit.container.contents import Metadata
from tacit.container.framing import Chunk, chunk_at
from tacit.container.header import Header, Mode
from tacit.container.region_chunks import is_region
from tacit.container.salvage import Salvage
from tacit.container.scans import count_pieces
from tacit.errors import CorruptFile, FileError, ImageTooLarge


@dataclass(frozen=True, kw_only=True)
class Front:
    """A file up to its first region."""

    header: Header
    metadata: Metadata
    alpha: bytes | None
    """The payload of the alpha chunk."""
    index: tuple[int, ...] | None
    """Bytes of the payload of each chunk of a region, where there are several."""
    count: int
    """How many pieces the bytes of the regions are cut into: the number of regions times that of scans."""
    sizes: dict[str, int]
    """Bytes by the name of the part of the file; those of the regions are not counted yet."""
    end: int
    """The position where the first region begins, if nothing is damaged."""


def read_front(view: memoryview, max_pixels: int | None, salvage: Salvage | None = None) -> Front:
    """Read a file up to its first region.

    Args:
        view: The file, or its beginning.
        max_pixels: The limit on width times height; None for that of the format alone.
        salvage: If this is not None, what is damaged but not needed is noted there and left out.

    Raises:
        CorruptFile: Something is damaged that is needed, or anything at all without `salvage`.
        UnsupportedFile: The file needs a newer reader.
        ImageTooLarge: The image has more pixels than the limit, or more regions than a file may have.
    """
    signature.check_signature(view)
    header_chunk = _header_chunk(view)
    header, mode = Header.from_bytes(header_chunk.payload)
    version = view[signature.LENGTH - 1]
    if version != mode.version:
        raise CorruptFile(f"format version must be {mode.version} for this header, got {version}")
    pixels = header.width * header.height
    if max_pixels is not None and pixels > max_pixels:
        raise ImageTooLarge(
            f"image must have at most {max_pixels} pixels, got {header.width}x{header.height} = {pixels} pixels"
        )
    count = count_pieces(header)

    sizes = dict.fromkeys(["signature", *(kind.name for kind in CHUNKS.values()), "other"], 0)
    sizes["signature"], sizes[HEADER_CHUNK.name] = signature.LENGTH, header_chunk.end - header_chunk.start
    payloads, end = _body(view, header_chunk.end, sizes, salvage)
    values = _values(payloads, header, mode, salvage)
    return Front(
        header=replace(header, quality_map=values.get("quality map")),
        metadata=Metadata(**{field.name: values.get(field.name) for field in fields(Metadata)}),
        alpha=values.get("alpha"),
        index=values.get("index"),
        count=count,
        sizes=sizes,
        end=end,
    )


def _header_chunk(view: memoryview) -> Chunk:
    if len(view) == signature.LENGTH:
        raise CorruptFile("the file ends before its header")
    chunk = chunk_at(view, signature.LENGTH).verify()
    if chunk.kind != HEADER_CHUNK.letter:
        raise CorruptFile(f"the first chunk must be {HEADER_CHUNK.letter}, got {chunk.kind}")
    return chunk


def _body(
    view: memoryview, position: int, sizes: dict[str, int], salvage: Salvage | None
) -> tuple[dict[str, memoryview], int]:
    """Walk over the chunks between the header and the regions, and add their sizes to `sizes`.

    Returns:
        The payload of each known chunk by its letter, and where the first region begins.
    """
    payloads: dict[str, memoryview] = {}
    while position < len(view) and not is_region(view, position):
        try:
            chunk = chunk_at(view, position).verify()
        except CorruptFile as error:
            if salvage is None:
                raise
            salvage.note(error)
            position = salvage.resume(view, position)
            continue
        position = chunk.end
        check_known(chunk)
        if chunk.kind in payloads or chunk.kind == HEADER_CHUNK.letter:
            _report(
                CorruptFile(f"{chunk.name} must be in a file once, got a second one at byte {chunk.start}"), salvage
            )
        elif chunk.kind in CHUNKS:
            payloads[chunk.kind] = chunk.payload
        sizes[CHUNKS[chunk.kind].name if chunk.kind in CHUNKS else "other"] += chunk.end - chunk.start
    return payloads, position


def _values(payloads: dict[str, memoryview], header: Header, mode: Mode, salvage: Salvage | None) -> dict[str, Any]:
    """Return what the chunks between the header and the regions hold, by their names."""
    values: dict[str, Any] = {}
    for kind in BODY:
        payload = payloads.get(kind.letter)
        problem = kind.misplaced(header, mode, payload is not None)
        try:
            if problem is not None:
                raise CorruptFile(f"chunk {kind.letter}: {problem}")
            if payload is not None:
                values[kind.name] = kind.parse(payload, header)
        except FileError as error:
            _report(error, None if kind.essential else salvage)
    return values


def _report(error: FileError, salvage: Salvage | None) -> None:
    if salvage is None:
        raise error
    salvage.note(error)
