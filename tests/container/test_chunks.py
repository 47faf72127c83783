"""The table of chunks: sizes of the parts, and chunks that are not in it."""

from __future__ import annotations

import pytest

from support.containers import H, R, build, chunk, header, pack, small, spans
from tacit.container import CHUNKS, Container, Metadata, read, read_header
from tacit.errors import CorruptFile


def test_sizes_of_the_parts() -> None:
    parts = small()
    data = pack(parts)
    found = dict.fromkeys(["signature", *(kind.name for kind in CHUNKS.values()), "other"], 0) | {"signature": 9}
    for kind, start, end in spans(data):
        found[CHUNKS[kind].name] += end - start
    assert read_header(data)[2] == found
    extended = data[: spans(data)[0][2]] + chunk("z", b"hello") + data[spans(data)[0][2] :]
    assert read_header(extended)[2] == found | {"other": 11}


def test_unknown_ancillary_chunks_are_skipped() -> None:
    data = build(chunk("z", b"first"), H, R)
    with pytest.raises(CorruptFile, match="first chunk must be H, got z"):
        read(data)
    for salvage in (False, True):
        parts = read(build(H, chunk("z", b"?"), chunk("c", b"a dog"), chunk("z", b""), R), salvage=salvage)
        assert parts == Container(header=header(), metadata=Metadata(caption="a dog"), alpha=None, regions=(b"region",))
