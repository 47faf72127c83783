"""Bundles: files of at most 15 MB."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.errors import InvalidInput, PathError
from tacit.training.dataset.bundle import read_bundle, write_bundle
from tacit.training.dataset.image_files import read_folder


def test_pieces_are_small(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = max(p.stat().st_size for p in image_folder.rglob("?.jpg"))
    monkeypatch.setattr("tacit.training.dataset.bundle.MAX_FILE_SIZE", largest)
    count = write_bundle(read_folder(image_folder), tmp_path / "p", 64, lambda name, reason: None)
    pieces = sorted((tmp_path / "p").glob("photos-*.bin"))
    assert count == 3
    assert len(pieces) > 1
    assert all(0 < p.stat().st_size <= largest for p in pieces)
    assert len(read_bundle(tmp_path / "p")) == 3
    pieces[0].write_bytes(pieces[0].read_bytes()[:-500])
    pieces[-1].write_bytes(b"\0" * largest)
    with pytest.raises(InvalidInput):
        read_bundle(tmp_path / "p")
    (tmp_path / "p" / "index.json").write_text("[")
    with pytest.raises(PathError):
        read_bundle(tmp_path / "p")
