"""Kodak."""

from __future__ import annotations

from pathlib import Path

from support.evaluations import write_image
from tacit.evaluation.datasets import load_dataset


def test_kodak_is_checked_to_be_whole(tmp_path: Path) -> None:
    for i in (1, 2):
        write_image(tmp_path / "k" / f"kodim{i:02}.png", i)
    write_image(tmp_path / "k" / "other.png")
    found = load_dataset(f"kodak:{tmp_path / 'k'}", limit=1)
    assert found.name == "Kodak"
    assert [item.name for item in found.images] == ["kodim01.png"]
    assert "22 of Kodak's 24 images are missing: kodim03.png" in found.notes[0]
    assert found.notes[1] == "the first 1 of 2 images"


def test_whole_kodak_needs_no_note(kodak: list[Path]) -> None:
    found = load_dataset(f"Kodak:{kodak[0].parent}")
    assert len(found.images) == 24
    assert found.notes == ()
    assert all(item.caption for item in found.images)
