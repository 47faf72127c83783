"""Which suffixes are images."""

from __future__ import annotations

import pytest
from PIL import Image

from tacit.files import IMAGE_SUFFIXES
from tacit.image import readable_suffixes


def test_suffixes_are_those_that_pillow_and_its_plugins_read(monkeypatch: pytest.MonkeyPatch) -> None:
    known = readable_suffixes()
    assert known > IMAGE_SUFFIXES
    assert {".mpo", ".jxl", ".hif", ".psd", ".ico", ".pcx"} <= known
    assert known.isdisjoint({".mpg", ".h5", ".eps", ".ps", ".wmf", ".pdf", ".fit", ".gbr", ".pcd", ".rgb", ".txt"})
    monkeypatch.setitem(Image.OPEN, "NEW", (Image.Image, None))
    monkeypatch.setitem(Image.EXTENSION, ".new", "NEW")
    assert readable_suffixes() == known | {".new"}
