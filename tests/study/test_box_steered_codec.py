"""The codec that steers by boxes: its files hold the map of the box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.pictures import synthetic
from tacit import container
from tacit.evaluation.codecs.tacit import find_tacit_codec
from tacit.study.box_maps import box_map
from tacit.study.box_steered_codec import BoxSteeredCodec, box_text
from tacit.study.config import BoxMapConfig


@pytest.mark.slow
def test_files_hold_the_map_of_the_box(tiny_weights: Path, tmp_path: Path) -> None:
    model = find_tacit_codec(str(tiny_weights), "cpu", "fp32")
    form = BoxMapConfig(name="strong", steps=40)
    codec = BoxSteeredCodec.of(model, form)
    assert codec.name == f"{model.name}+strong"
    assert codec.settings() != model.settings()
    assert codec.settings() != BoxSteeredCodec.of(model, BoxMapConfig(name="strong", steps=41)).settings()
    box = (0, 0, 64, 64)
    pixels = synthetic(160, 100)
    codec.encode(pixels, box_text(box), 50, tmp_path / "a.tacit", 1)
    stored = container.read((tmp_path / "a.tacit").read_bytes()).header.quality_map
    assert stored is not None
    assert np.frombuffer(stored, np.int8).reshape(2, 3).tolist() == box_map(box, 160, 100, form).tolist()
    assert codec.decode(tmp_path / "a.tacit", 50, 1)[0].shape == pixels.shape
