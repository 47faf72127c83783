"""Fixtures of the codec's tests: files with every kind of chunk or several regions, and counts of a model's work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.codec_files import EXIF, ICC, THREE, XMP
from support.pictures import synthetic
from tacit.codec import Codec
from tacit.codec.model import Array
from tacit.codec.torch_model import TorchModel
from tacit.engine.onnx_model import OnnxModel
from tacit.entropy.streams import Stream
from tacit.text.caption_tokens import CaptionTokens


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many images have been analysed, and how many regions decoded."""
    counts = {"analysed": 0, "decoded": 0}

    def count(model: type[OnnxModel] | type[TorchModel]) -> None:
        analyse, decompress = model.analyse, model.decompress

        def counting_analyse(self: Any, pixels: np.ndarray, tokens: CaptionTokens) -> Array:
            counts["analysed"] += len(pixels)
            return analyse(self, pixels, tokens)

        def counting_decompress(self: Any, streams: Sequence[Stream], *rest: Any) -> Array:
            counts["decoded"] += len(streams)
            return decompress(self, streams, *rest)

        monkeypatch.setattr(model, "analyse", counting_analyse)
        monkeypatch.setattr(model, "decompress", counting_decompress)

    count(OnnxModel)
    count(TorchModel)
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
    return codec.encode(synthetic(*THREE), quality=60, progressive=False)
