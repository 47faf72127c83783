"""jpegli as a codec under measurement."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from support.evaluations import usable_codec
from support.pictures import synthetic
from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.codecs import find_codec
from tacit.evaluation.codecs.jpegli import JPEGLI


def test_files_are_sequential_jpeg_with_subsampled_chroma_as_the_settings_say(tmp_path: Path) -> None:
    codec = usable_codec("jpegli")
    options = codec.settings()["options"]
    codec.encode(synthetic(40, 30), None, 60, tmp_path / "x.jpg", 1)
    with Image.open(tmp_path / "x.jpg") as image:
        assert image.format == "JPEG"
        assert image.info.get("progressive") is not options["sequential"]
        (_, *luma, _), (_, *chroma, _), _ = image.layer  # type: ignore[attr-defined]
    assert (luma, chroma) == ([2, 2], [1, 1])
    assert options["subsampling"] == "4:2:0"
    assert codec.settings()["library"].startswith("pyjpegli ")


@pytest.mark.parametrize("quality", [0, 101, 50.5, "high"])
def test_qualities_that_it_has_not_are_refused(quality: float | str) -> None:
    with pytest.raises(InvalidInput, match=f"jpegli: quality must be a whole number from 1 to 100, got {quality}"):
        JPEGLI.check(quality)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyjpegli", None)
    with pytest.raises(MissingExtra, match=r"jpegli needs the package pyjpegli: pip install 'tacit\[anchors\]'"):
        find_codec("jpegli")
