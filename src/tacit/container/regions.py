"""The geometry of a file: how an image is cut into regions, and a quality map into cells."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.errors import ImageTooLarge, InvalidInput

REGION = 1024
"""Pixels: no region is wider or taller."""

REGION_STEP = 64
"""Pixels: every region starts at a multiple of this, so that each region has whole hyper-latents of its own."""

CELL = 64
"""Pixels: the side of the squares from one to the next of which the quality may vary."""

MAX_REGIONS = 1 << 20
"""The most regions of a file. It bounds what a few bytes of header can make a reader allocate."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """One independently coded rectangle of an image."""

    row: int
    """Its row in the grid of regions, from 0."""
    column: int
    """Its column in the grid of regions, from 0."""
    left: int
    """Pixels; a multiple of 64."""
    top: int
    """Pixels; a multiple of 64."""
    width: int
    """Pixels, 1 to 1024."""
    height: int
    """Pixels, 1 to 1024."""


def region_grid(width: int, height: int) -> tuple[Region, ...]:
    """Cut an image of `width` x `height` pixels into regions.

    Returns:
        The regions in raster order.

    Raises:
        InvalidInput: The image is empty.
        ImageTooLarge: The image has more regions than a file may have.
    """
    if width < 1 or height < 1:
        raise InvalidInput(f"image must have at least 1x1 pixels, got {width}x{height}")
    count_regions(width, height)
    return tuple(
        Region(row=row, column=column, left=left, top=top, width=region_width, height=region_height)
        for row, (top, region_height) in enumerate(_cut(height))
        for column, (left, region_width) in enumerate(_cut(width))
    )


def count_regions(width: int, height: int) -> int:
    """Return the number of regions of an image, without making them.

    Raises:
        ImageTooLarge: The image has more regions than a file may have.
    """
    count = -(-width // REGION) * -(-height // REGION)
    if count > MAX_REGIONS:
        raise ImageTooLarge(f"image must have at most {MAX_REGIONS} regions, got {count} of {width}x{height} pixels")
    return count


def _cut(length: int) -> list[tuple[int, int]]:
    """Cut a side into the fewest parts of at most 1024 pixels, and return the start and the length of each.

    The parts are of equal length but for the last, and start at multiples of 64. No part is empty: with
    n = ceil(length / 1024) the step is at most 1024, and (n - 1) * 1024 < length.
    """
    parts = -(-length // REGION)
    step = -(-length // (parts * REGION_STEP)) * REGION_STEP
    return [(start, min(step, length - start)) for start in range(0, length, step)]


def cells(width: int, height: int) -> tuple[int, int]:
    """Return the numbers of rows and of columns of the quality map of an image of `width` x `height` pixels."""
    return -(-height // CELL), -(-width // CELL)
