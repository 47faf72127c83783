"""Regions and cells: how an image is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.container import Region, region_grid
from tacit.errors import ImageTooLarge, InvalidInput


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 9000) | st.integers(1, 1 << 20), st.integers(1, 3000))
def test_region_grid(width: int, height: int) -> None:
    grid = region_grid(width, height)
    columns = [r for r in grid if r.row == 0]
    rows = [r for r in grid if r.column == 0]
    assert len(columns) == -(-width // 1024)
    assert len(rows) == -(-height // 1024)
    assert [(r.row, r.column) for r in grid] == [(i, j) for i in range(len(rows)) for j in range(len(columns))]
    assert all(r.left == columns[r.column].left and r.width == columns[r.column].width for r in grid)
    assert all(r.top == rows[r.row].top and r.height == rows[r.row].height for r in grid)
    for line, length in (
        ([(r.left, r.width) for r in columns], width),
        ([(r.top, r.height) for r in rows], height),
    ):
        assert [start for start, _ in line] == [0, *itertools.accumulate(size for _, size in line)][:-1]
        assert sum(size for _, size in line) == length
        assert all(start % 64 == 0 and 1 <= size <= 1024 for start, size in line)
        assert len({size for _, size in line[:-1]}) <= 1
        assert len(line) == 1 or line[-1][1] <= line[0][1]


def test_region_grid_by_hand() -> None:
    assert [(r.left, r.width) for r in region_grid(1025, 1)] == [(0, 576), (576, 449)]
    assert [(r.top, r.height) for r in region_grid(1, 2100)] == [(0, 704), (704, 704), (1408, 692)]
    assert region_grid(1024, 1024) == (Region(row=0, column=0, left=0, top=0, width=1024, height=1024),)


def test_region_grid_refuses() -> None:
    with pytest.raises(InvalidInput, match="image must have at least 1x1 pixels, got 0x5"):
        region_grid(0, 5)
    with pytest.raises(ImageTooLarge, match="at most 1048576 regions, got 1049600"):
        region_grid(1025 * 1024, 1 << 20)
