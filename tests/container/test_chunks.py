"""The table of chunks: sizes of the parts, and chunks that are not in it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from support.containers import H, R, build, chunk, header, pack, small, spans
from tacit.container import CHUNKS, Container, Metadata, read, read_header
from tacit.container.chunks import BODY, HEADER_CHUNK, REGION_CHUNK
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


def test_the_chunks_of_metadata_are_the_fields_of_metadata() -> None:
    """A row of the table whose name is no field would be written and never read."""
    structural = {"index", "quality map", "alpha"}
    assert {kind.name for kind in BODY} == structural | {field.name for field in fields(Metadata)}


def test_letters_and_names_are_used_once() -> None:
    kinds = [HEADER_CHUNK, *BODY, REGION_CHUNK]
    assert len({kind.letter for kind in kinds}) == len({kind.name for kind in kinds}) == len(kinds) == len(CHUNKS)
    assert all(kind.letter.isascii() and kind.letter.isalpha() for kind in kinds)
    # A reader of today must refuse a file without a chunk that decoding needs, and skip one that it does not know.
    assert all(kind.letter.isupper() == (kind.required is not None) for kind in BODY)
