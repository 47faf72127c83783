"""Boxes of latents."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.codec import Latents
from tacit.container import Header


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 1500), st.integers(1, 300)),
    st.data(),
    st.integers(0, 7),
)
def test_windows(size: tuple[int, int], data: st.DataObject, reach: int) -> None:
    """Boxes of one size get latents of one shape, which hold all that a box alone needs, in the right place."""
    width, height = size
    rows, columns = -(-height // 16), -(-width // 16)
    whole = np.arange(rows * columns, dtype=np.int16).reshape(1, rows, columns)
    wide, high = data.draw(st.integers(1, width)), data.draw(st.integers(1, height))
    header = Header(width=width, height=height, color=True, alpha=False, quality=50, model_id=1, weights_hash=bytes(8))
    shapes = set()
    for _ in range(2):
        left, top = data.draw(st.integers(0, width - wide)), data.draw(st.integers(0, height - high))
        latents = Latents(header, (left, top, left + wide, top + high), (0, 0), whole)
        cut = latents.cut(reach)
        shapes.add(cut.values.shape)
        assert np.array_equal(cut.values, cut.cut(reach).values)
        for even in (False, True):
            expected, found = (list(one.tiles(reach, even=even)) for one in (latents, cut))
            assert len(expected) == len(found) == (1 if wide <= 1024 else 2)
            for a, b in zip(expected, found, strict=True):
                assert np.array_equal(a.latents, b.latents)
                assert (a.row, a.column, a.top, a.left, a.height, a.width) == (
                    b.row, b.column, b.top, b.left, b.height, b.width
                )  # fmt: skip
                first = int(a.latents[0, 0, 0])
                row, column = divmod(first, columns)
                assert row * 16 + a.row == top + a.top
                assert column * 16 + a.column == left + a.left
                for begin, length, there, count in (
                    (row, a.latents.shape[1], (top + a.top, a.height), rows),
                    (column, a.latents.shape[2], (left + a.left, a.width), columns),
                ):
                    assert begin <= max(0, there[0] // 16 - reach)
                    assert begin + length >= min(count, -(-sum(there) // 16) + reach)
    assert len(shapes) == 1
