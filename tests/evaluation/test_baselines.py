"""JPEG, WebP and AVIF through Pillow, and the search for the largest file that fits."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, features

from tacit.evaluation.codecs.pillow import BASELINES, PillowCodec, largest_file

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


@needs_avif
@pytest.mark.parametrize("codec", BASELINES.values(), ids=lambda c: c.name)
def test_the_search_finds_the_largest_file_that_fits(codec: PillowCodec) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC)
    sizes = {q: len(codec.encode_image(image, q)) for q in (codec.lowest, 40, 41)}
    quality, data = largest_file(codec, lambda q: codec.encode_image(image, q), sizes[40])
    assert quality >= 40
    assert len(data) <= sizes[40]
    assert data == codec.encode_image(image, quality)
    least = largest_file(codec, lambda q: codec.encode_image(image, q), 10)
    assert least == (codec.lowest, codec.encode_image(image, codec.lowest))


def test_baselines_write_what_they_say() -> None:
    image = Image.linear_gradient("L").convert("RGB")
    with Image.open(io.BytesIO(BASELINES["JPEG"].encode_image(image, 50))) as jpeg:
        assert jpeg.format == "JPEG"
        assert jpeg.info["progressive"]
    assert BASELINES["JPEG"].setting == "optimize, progressive"
    assert BASELINES["WebP"].setting == "method 6"
