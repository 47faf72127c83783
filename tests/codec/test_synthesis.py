"""From integers to pixels, tile by tile."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from support.codec_files import WIDE, levels
from support.pictures import synthetic
from tacit import container
from tacit.codec import Codec, DamageWarning
from tacit.codec.model import Quality
from tacit.container import Metadata, region_grid
from tacit.engine.onnx_model import OnnxModel
from tacit.errors import CorruptFile


@pytest.mark.parametrize("which", ["codec", "taco_codec"])
@pytest.mark.parametrize("size", [WIDE, (70, 1100)])
def test_tiled_synthesis_has_no_seam(request: pytest.FixtureRequest, which: str, size: tuple[int, int]) -> None:
    codec: Codec = request.getfixturevalue(which)
    data = codec.encode(synthetic(*size), quality=60)
    model = codec._model(codec.path)
    whole = model.levels(model.engine.from_host(codec.latents(data)[None]), 60.0)[0]
    expected = model.engine.to_host(whole)[: size[1], : size[0]].astype(int)
    assert np.abs(levels(codec.decode(data)) - expected).max() <= 1


def test_salvage_of_nothing_synthesises_each_shape_of_tile_once(
    codec: Codec, three_regions: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = dataclasses.replace(container.read(three_regions).header, width=7000)
    regions = region_grid(header.width, header.height)
    data = container.write(header, Metadata(), None, [b""] * len(regions))
    with pytest.raises(CorruptFile, match="chunk R 0: entropy-coded data must not be empty"):
        codec.decode(data)
    model = codec._model(codec.path)
    made, widths = OnnxModel.levels, []

    def counted(self: OnnxModel, latents: np.ndarray, quality: Quality, *, color: bool) -> np.ndarray:
        widths.append(latents.shape[-1])
        return made(self, latents, quality, color=color)

    monkeypatch.setattr(OnnxModel, "levels", counted)
    with pytest.warns(DamageWarning):
        found = codec.decode(data, salvage=True)
    assert len(widths) == 3  # the first tile, those inside, the last
    zeros = np.zeros((1, model.latent, -(-header.height // 64) * 4, -(-header.width // 64) * 4), np.int16)
    whole = model.synthesise(zeros, header.quality)[0, :, : header.height, : header.width]
    assert np.abs(levels(found) - (whole.clip(0, 1) * 255).round().transpose(1, 2, 0)).max() <= 1
