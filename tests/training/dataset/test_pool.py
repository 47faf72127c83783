"""Pools of decoded images."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.errors import InvalidInput, PathError
from tacit.training.dataset.pool import open_pool


def test_a_pool_that_is_none(pool: Path, tmp_path: Path) -> None:
    for index in ("[]", '{"x": 1}', '{"shapes": [], "captions": []}', '{"shapes": [[4, "x"]], "captions": [[]]}'):
        (tmp_path / "x.json").write_text(index)
        (tmp_path / "x.bin").write_bytes(b"123")
        with pytest.raises(InvalidInput):
            open_pool(tmp_path / "x")
    (tmp_path / "x.json").write_bytes(pool.with_suffix(".json").read_bytes())
    (tmp_path / "x.bin").write_bytes(pool.with_suffix(".bin").read_bytes()[:-1])
    for in_memory in (True, False):
        with pytest.raises(InvalidInput, match="bytes of the 5 images in its index"):
            open_pool(tmp_path / "x", in_memory=in_memory)
    with pytest.raises(PathError):
        open_pool(tmp_path / "y")
