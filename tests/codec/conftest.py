"""Fixtures of the codec's tests: files with every kind of chunk or several regions, and counts of a model's work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from support.codec_files import EXIF, ICC, THREE, XMP
from support.pictures import synthetic
from tacit.codec import Codec
from tacit.models.coding import CodingModel
from tacit.text.tokens import TextTokens


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many images have been analysed, and how many regions decoded."""
    counts = {"analysed": 0, "decoded": 0}
    analyse, decompress = CodingModel.analyse, CodingModel.decompress

    def counting_analyse(self: CodingModel, x: torch.Tensor, tokens: TextTokens) -> torch.Tensor:
        counts["analysed"] += len(x)
        return analyse(self, x, tokens)

    def counting_decompress(self: CodingModel, streams: list[bytes], *rest: Any) -> torch.Tensor:
        counts["decoded"] += len(streams)
        return decompress(self, streams, *rest)

    monkeypatch.setattr(CodingModel, "analyse", counting_analyse)
    monkeypatch.setattr(CodingModel, "decompress", counting_decompress)
    return counts


@pytest.fixture(scope="module")
def small_file(codec: Codec) -> bytes:
    """A real file with every kind of chunk that one region has."""
    image = Image.fromarray(synthetic(24, 16)).convert("RGBA")
    image.putalpha(Image.fromarray(np.arange(24 * 16, dtype=np.uint8).reshape(16, 24)))
    image.info |= {"icc_profile": ICC, "xmp": XMP, "exif": EXIF}
    return codec.encode(image, "a dog 🐶", store_caption=True)


@pytest.fixture(scope="module")
def three_regions(codec: Codec) -> bytes:
    return codec.encode(synthetic(*THREE), quality=60)
