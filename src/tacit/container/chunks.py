"""The table of chunk types. It drives writing, reading, the accounting of sizes and what `tacit info` reports.

To add a chunk, write a module in `payloads` that encodes and decodes its value. A chunk of metadata is then a field of
`Metadata`, which becomes a row here; any other needs a row of its own. Its size is in the accounting of `read_header`
at once, and in `tacit info` as soon as `FileInfo` has a field for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields
from types import MappingProxyType
from typing import Any

from tacit.container.contents import Container, Metadata, Payload
from tacit.container.framing import Chunk
from tacit.container.header import Header, Mode
from tacit.container.payloads import alpha, compressed, index, quality_map
from tacit.container.scans import count_pieces, cut
from tacit.errors import FileError, InvalidInput, UnsupportedFile


@dataclass(frozen=True, kw_only=True)
class ChunkType:
    """A type of chunk."""

    letter: str
    """Its type in the file. A reader refuses a file with an unknown type in upper case, and skips one in lower case."""
    name: str
    """The name of its contents. Sizes are reported under it, and metadata are the field of `Metadata` of this name."""
    present: str
    """When a file has it, in the words of messages and of docs/format.md."""


@dataclass(frozen=True, kw_only=True)
class BodyChunkType(ChunkType):
    """A type of chunk that may be, once, between the header and the regions."""

    value: Callable[[Container], Any]
    """Returns what a file holds in this chunk, or None if it has no such chunk."""
    encode: Callable[[Any], bytes]
    """Makes the payload of a value. It raises FileError for a value that may not be stored."""
    decode: Callable[[memoryview, Header], Any]
    """Makes the value of a payload, for the header of the file. It raises FileError."""
    required: Callable[[Header, Mode], bool] | None = None
    """Returns whether a file with this header and mode must have the chunk, or must not. None: it is optional."""
    essential: bool = False
    """True if nothing of a file can be decoded without this chunk, so that salvage needs it, too."""

    def payload(self, file: Container) -> bytes | None:
        """Return the payload of this chunk of a file, or None if the file does not have the chunk.

        Raises:
            InvalidInput: The value may not be stored.
        """
        value = self.value(file)
        try:
            return None if value is None else self.encode(value)
        except FileError as error:  # a rule of the format, here broken by the caller
            raise InvalidInput(f"{self.name} {error}") from None

    def parse(self, payload: memoryview, header: Header) -> Any:
        """Return the value in a payload.

        Raises:
            CorruptFile: The payload breaks a rule.
            UnsupportedFile: The payload needs a newer reader.
        """
        try:
            return self.decode(payload, header)
        except FileError as error:
            raise type(error)(f"chunk {self.letter}: {self.name} {error}") from None

    def misplaced(self, header: Header, mode: Mode, present: bool) -> str | None:
        """Return which rule of its presence a file breaks, or None."""
        if self.required is None or self.required(header, mode) == present:
            return None
        return f"{self.name} must be present {self.present}, got {'one' if present else 'none'}"


def _lengths(file: Container) -> list[int] | None:
    """Return the lengths for the index of a file, or None for a single piece, whose length needs no index."""
    pieces = cut([region or b"" for region in file.regions], file.header.scans or 1)
    return [len(piece) for piece in pieces] if len(pieces) > 1 else None


def _metadata(field: Field[Any]) -> BodyChunkType:
    """Return the row for a field of `Metadata`."""
    payload: Payload = field.metadata["payload"]
    return BodyChunkType(
        letter=field.metadata["letter"],
        name=field.name,
        present="optional",
        value=lambda file: getattr(file.metadata, field.name),
        encode=payload.encode,
        decode=lambda data, header: payload.decode(data),
    )


# In the order of writing. The index stands first, so that the regions are found in a file whose metadata are damaged.
BODY = (
    BodyChunkType(
        letter="I",
        name="index",
        present="exactly if regions times scans are two or more",
        value=_lengths,
        encode=index.encode,
        decode=lambda payload, header: index.decode(payload, count_pieces(header)),
        required=lambda header, mode: count_pieces(header) > 1,
    ),
    BodyChunkType(
        letter="Q",
        name="quality map",
        present="exactly if the header says so",
        value=lambda file: file.header.quality_map,
        encode=compressed.encode,
        decode=lambda payload, header: quality_map.decode(payload, header.width, header.height),
        required=lambda header, mode: Mode.QUALITY_MAP in mode,
        essential=True,
    ),
    BodyChunkType(
        letter="A",
        name="alpha",
        present="exactly if the header says so",
        value=lambda file: file.alpha,
        encode=lambda payload: alpha.check(memoryview(payload)),
        decode=lambda payload, header: alpha.check(payload),
        required=lambda header, mode: Mode.ALPHA in mode,
    ),
    *map(_metadata, fields(Metadata)),
)

HEADER_CHUNK = ChunkType(letter="H", name="header", present="always, first")
REGION_CHUNK = ChunkType(letter="R", name="regions", present="one chunk for each region and scan")

CHUNKS: Mapping[str, ChunkType] = MappingProxyType({kind.letter: kind for kind in (HEADER_CHUNK, *BODY, REGION_CHUNK)})
"""Every type of chunk by its letter."""


def check_known(chunk: Chunk) -> None:
    """Check that a chunk can be read here or may be skipped.

    Raises:
        UnsupportedFile: The chunk is unknown and critical.
    """
    if chunk.kind.isupper() and chunk.kind not in CHUNKS:
        raise UnsupportedFile(
            f"{chunk.name} is unknown to this tacit and needed to read the file: a newer tacit is needed"
        )
