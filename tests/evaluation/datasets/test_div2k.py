"""DIV2K."""

from __future__ import annotations

from pathlib import Path

from support.evaluations import write_image
from tacit.evaluation.datasets import load_dataset


def test_div2k_is_the_validation_images_and_what_is_missing_is_said(tmp_path: Path) -> None:
    for name in ("0800.png", "0801.png", "0900.png"):
        write_image(tmp_path / "DIV2K_valid_HR" / name)
    found = load_dataset(f"div2k:{tmp_path}")
    assert found.name == "DIV2K"
    assert [image.name for image in found.images] == ["DIV2K_valid_HR/0801.png", "DIV2K_valid_HR/0900.png"]
    assert found.notes[0].startswith("98 of DIV2K's 100 images are missing: 0802.png, 0803.png")
