"""SSIMULACRA 2 of colour and grey images."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from support.pictures import synthetic
from tacit.errors import InvalidInput, MissingExtra
from tacit.image.ssimulacra2 import ssimulacra2


def test_grey_images_count_as_colour_images_without_colour() -> None:
    pytest.importorskip("ssimulacra2")
    grey = synthetic(40, 32)[..., :1]
    worse = (grey // 16) * 16
    colour = [np.repeat(one, 3, axis=2) for one in (worse, grey)]
    assert ssimulacra2(worse, grey) == ssimulacra2(*colour) < ssimulacra2(grey, grey) == pytest.approx(100)


@pytest.mark.parametrize(
    ("shape", "other", "message"),
    [
        ((8, 7, 3), (8, 7, 3), "8 pixels a side or more, got 7x8"),
        ((8, 8, 3), (8, 9, 3), "uint8 images of one shape"),
        ((8, 8), (8, 8), "uint8 images of one shape"),
    ],
)
def test_arrays_that_are_no_images(shape: tuple[int, ...], other: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        ssimulacra2(np.zeros(shape, np.uint8), np.zeros(other, np.uint8))


def test_the_package_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssimulacra2", None)
    image = synthetic(16, 16)
    with pytest.raises(MissingExtra, match=r"ssimulacra2 needs ssimulacra2: pip install 'tacit\[eval\]'"):
        ssimulacra2(image, image)
