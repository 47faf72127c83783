"""The payload of a quality map: a signed byte for each cell, as compressed data."""

from __future__ import annotations

from tacit.container.framing import Buffer
from tacit.container.payloads import compressed
from tacit.container.regions import cells
from tacit.errors import CorruptFile


def problem(offsets: Buffer, width: int, height: int) -> str | None:
    """Return which rule the quality map of an image of `width` x `height` pixels breaks, or None."""
    rows, columns = cells(width, height)
    if len(offsets) != rows * columns:
        return f"must have a value for each of {rows}x{columns} cells, got {len(offsets)}"
    worst = max((b - 256 * (b > 127) for b in set(offsets)), key=abs)
    return f"values must be -100 to 100, got {worst}" if abs(worst) > 100 else None


def decode(payload: memoryview, width: int, height: int) -> bytes:
    """Return the quality map of an image of `width` x `height` pixels, a signed byte for each cell.

    Raises:
        CorruptFile: The payload is damaged, or the map does not fit the image.
        UnsupportedFile: The method is unknown.
    """
    rows, columns = cells(width, height)
    offsets = compressed.decode(payload, rows * columns)
    broken_rule = problem(offsets, width, height)
    if broken_rule:
        raise CorruptFile(broken_rule)
    return offsets
