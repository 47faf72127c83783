"""Numbers of a file."""

from __future__ import annotations

import pytest

from tacit.container.framing import MAX_NUMBER, beginning_of_payload, chunk_at, read_varint, varint
from tacit.errors import CorruptFile, InvalidInput


@pytest.mark.parametrize("number", [0, 127, 128, 1 << 14, MAX_NUMBER])
def test_numbers_are_read_as_they_were_written(number: int) -> None:
    stored = varint(number)
    assert read_varint(memoryview(b"x" + stored + b"y"), 1, "number") == (number, 1 + len(stored))


def test_a_number_that_no_file_can_hold_is_not_written() -> None:
    with pytest.raises(InvalidInput, match=f"number must be at most {MAX_NUMBER}, got {MAX_NUMBER + 1}"):
        varint(MAX_NUMBER + 1)


@pytest.mark.parametrize("length", [b"\x80\x00", b"\x85\x80\x00", b"\xff\xff\xff\xff\x7f"], ids=["0", "5", "large"])
def test_a_length_that_breaks_a_rule_begins_no_payload(length: bytes) -> None:
    view = memoryview(b"R" + length)
    assert beginning_of_payload(view, 0) is None
    with pytest.raises(CorruptFile):
        chunk_at(view, 0)
