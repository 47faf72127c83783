"""The cache of answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.captions import AnswerCache

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


def test_a_damaged_answer_counts_as_none(tmp_path: Path) -> None:
    cache, settings_ = AnswerCache(tmp_path), {"model": "m"}
    cache.store(b"image", settings_, "one")
    (path,) = tmp_path.rglob("*.json")
    assert cache.find(b"image", settings_) == "one"
    assert cache.find(b"image", {"model": "n"}) is None
    assert cache.find(b"other", settings_) is None
    for content in (b"", b"{", b"[]", b'{"caption": 3}', b'{"caption": ""}', b"\xff"):
        path.write_bytes(content)
        assert cache.find(b"image", settings_) is None
    cache.store(b"image", settings_, "two")
    assert cache.find(b"image", settings_) == "two"
