"""The `.tacit` file format, with nothing but the standard library. docs/format.md is the specification.

    signature (8)  version (1)  H  [I] [Q] [A] [c] [i] [e] [x]  R R R ...

In a progressive file, there is a chunk R for each region in the first scan, then one for each region in the second, and
so on; without scans, one for each region.

Two tables describe a file: `HEADER` the numbers of its header, and `CHUNKS` the types of its chunks. Writing, reading,
checking, the sizes that `tacit info` reports and the tables in docs/format.md follow them.

Reading trusts nothing. A length is compared with what is there before it is used, a checksum is verified before the
bytes that it covers are interpreted, and what is wrong becomes a `CorruptFile` or an `UnsupportedFile` whose message
has the rule and the value. `read(..., salvage=True)` takes what is whole and lists what is not.
"""

from tacit.container.chunks import CHUNKS, ChunkType
from tacit.container.contents import Container, Metadata
from tacit.container.header import HEADER, Field, Header, Mode
from tacit.container.payloads.caption import MAX_CAPTION, check_caption
from tacit.container.payloads.compressed import MAX_METADATA
from tacit.container.reading import MAX_PIXELS, beginning, front_size, read, read_header
from tacit.container.regions import CELL, REGION, Region, cells, region_grid
from tacit.container.scans import choose_scans
from tacit.container.signature import MIME_TYPE, SIGNATURE, VERSION, is_tacit
from tacit.container.writing import write

__all__ = [
    "CELL",
    "CHUNKS",
    "HEADER",
    "MAX_CAPTION",
    "MAX_METADATA",
    "MAX_PIXELS",
    "MIME_TYPE",
    "REGION",
    "SIGNATURE",
    "VERSION",
    "ChunkType",
    "Container",
    "Field",
    "Header",
    "Metadata",
    "Mode",
    "Region",
    "beginning",
    "cells",
    "check_caption",
    "choose_scans",
    "front_size",
    "is_tacit",
    "read",
    "read_header",
    "region_grid",
    "write",
]
