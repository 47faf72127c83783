"""Corpora of captions."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tacit.errors import InvalidInput, PathError
from tacit.words.corpus import read_corpus


def test_corpora(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt.gz"
    lines.write_bytes(gzip.compress("a dog\n\n caf\u00e9 \n".encode()))
    assert read_corpus(lines) == ["a dog", "caf\u00e9"]
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"captions": ["a", "b"]}\n\n{"file": "x", "caption": "c"}\n{"captions": []}\n')
    assert read_corpus(rows) == ["a", "b", "c"]
    rows.write_text("[1]\n")
    with pytest.raises(InvalidInput, match="line 1"):
        read_corpus(rows)
    with pytest.raises(PathError):
        read_corpus(tmp_path / "none.txt")
