"""Writing a file."""

from __future__ import annotations

from collections.abc import Sequence

from tacit.container.chunks import BODY, HEADER_CHUNK, REGION_CHUNK
from tacit.container.contents import Container, Metadata
from tacit.container.framing import frame
from tacit.container.header import Header
from tacit.container.regions import count_regions
from tacit.container.scans import cut, stored_size
from tacit.container.signature import SIGNATURE
from tacit.errors import InvalidInput


def write(header: Header, metadata: Metadata, alpha: bytes | None, regions: Sequence[bytes]) -> bytes:
    """Return a whole file.

    Args:
        header: The header, with the quality map if there is one. Its `scans` say how the regions are laid out;
            `choose_scans` finds how many they should be.
        metadata: What else the file is to hold.
        alpha: The payload of the alpha chunk, or None.
        regions: One payload for each of `region_grid`.

    Raises:
        InvalidInput: The parts do not fit together, or the metadata may not be stored.
        ImageTooLarge: The image has more regions than a file may have.
    """
    count, scans = count_regions(header.width, header.height), header.scans or 1
    if len(regions) != count:
        raise InvalidInput(f"{header.width}x{header.height} pixels must have {count} regions, got {len(regions)}")
    file = Container(header=header, metadata=metadata, alpha=alpha, regions=tuple(regions))
    chunks = [frame(HEADER_CHUNK.letter, header.to_bytes())]
    for kind in BODY:
        payload = kind.payload(file)
        problem = kind.misplaced(header, header.mode, payload is not None)
        if problem is not None:
            raise InvalidInput(problem)
        if payload is not None:
            chunks.append(frame(kind.letter, payload))
    chunks += [frame(REGION_CHUNK.letter, piece) for piece in cut(regions, scans) if stored_size(len(piece), scans)]
    return b"".join([SIGNATURE, bytes([header.version]), *chunks])
