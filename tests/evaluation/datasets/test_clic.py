"""CLIC."""

from __future__ import annotations

from pathlib import Path

from support.evaluations import write_image
from tacit.evaluation.datasets import COMPLETE, load_dataset


def test_clic_is_the_png_files_of_a_folder(tmp_path: Path) -> None:
    write_image(tmp_path / "valid" / "a.png")
    write_image(tmp_path / "valid" / "thumb.jpg")
    found = load_dataset(f"clic:{tmp_path}")
    assert (found.name, [item.name for item in found.images]) == ("CLIC", ["valid/a.png"])


def test_the_professional_validation_set_has_41_images_in_order() -> None:
    names = COMPLETE["CLIC"]
    assert len(set(names)) == 41
    assert list(names) == sorted(names)
    assert all(name.endswith(".png") for name in names)
