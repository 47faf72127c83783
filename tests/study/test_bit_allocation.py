"""Drawings of where the bits go."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from support.pictures import synthetic
from tacit.codec import Codec
from tacit.study.bit_allocation import bit_allocation, draw


def test_maps_are_bits_per_pixel(codec: Codec) -> None:
    pixels = synthetic(90, 50)
    allocation = bit_allocation(codec, pixels, "a red boat", 60)
    assert allocation.with_caption is not None
    area = np.outer([16, 16, 16, 2], [16, 16, 16, 16, 16, 10])
    assert (allocation.without_caption * area).sum() == pytest.approx(codec.bit_map(pixels, None, 60).sum(), rel=1e-5)
    assert (allocation.with_caption * area).sum() == pytest.approx(
        codec.bit_map(pixels, "a red boat", 60).sum(), rel=1e-5
    )
    whole, alone = draw(allocation), draw(bit_allocation(codec, pixels, None, 60))
    assert whole.width > alone.width
    assert whole.height > alone.height


@pytest.mark.parametrize("size", [(1, 1), (300, 20), (20, 300)])
def test_maps_of_every_shape(codec: Codec, size: tuple[int, int]) -> None:
    grey = Image.fromarray(synthetic(*size)).convert("L")
    assert draw(bit_allocation(codec, grey, "x " * 400, None)).width > 400
