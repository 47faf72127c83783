"""Writing: what a file costs, and parts that do not fit together."""

from __future__ import annotations

import pytest

from support.containers import header
from tacit.container import Metadata, write
from tacit.errors import ImageTooLarge, InvalidInput


@pytest.mark.parametrize(("width", "height"), [(768, 512), (1024, 1024), (1, 1)])
def test_a_photo_pays_at_most_40_bytes(width: int, height: int) -> None:
    region = bytes(2**21 - 1)  # more than a region's pixels can need
    assert len(write(header(width, height, quality=100.0), Metadata(), None, [region])) - len(region) <= 40


def test_write_refuses_parts_that_do_not_fit() -> None:
    with pytest.raises(InvalidInput, match="768x512 pixels must have 1 regions, got 2"):
        write(header(), Metadata(), None, [b"", b""])
    with pytest.raises(InvalidInput, match="alpha must be present exactly if the header says so, got none"):
        write(header(alpha=True), Metadata(), None, [b""])
    with pytest.raises(InvalidInput, match="alpha must be present exactly if the header says so, got one"):
        write(header(), Metadata(), b"\0\xff", [b""])
    with pytest.raises(InvalidInput, match=r"alpha method must be 0 \(constant\) or 1 \(PNG\), got 9"):
        write(header(alpha=True), Metadata(), b"\x09\xff", [b""])
    with pytest.raises(ImageTooLarge):
        write(header(2**32 - 1, 2**32 - 1), Metadata(), None, [])
