"""Mosaics: each part is where they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.errors import InvalidInput
from tacit.evaluation.datasets import load_dataset
from tacit.evaluation.pixels import load_pixels
from tacit.study.mosaics import make_mosaics


def test_mosaics_have_each_photo_where_they_say(image_folder: Path, tmp_path: Path) -> None:
    dataset = load_dataset(str(image_folder / "list.jsonl"))
    texts = {item.name: item.caption or "" for item in dataset.images}
    made = make_mosaics(dataset, texts, {2: 3, 4: 2}, (64, 64), 0, tmp_path)
    again = make_mosaics(dataset, texts, {2: 3, 4: 2}, (64, 64), 0, tmp_path)
    assert [m.item for m in made] == [m.item for m in again]
    assert [len(m.parts) for m in made] == [2, 2, 2, 4, 4]
    assert sorted(name for m in made[:3] for name in m.parts) == sorted(texts)  # each once before any comes again
    for mosaic in made:
        pixels = load_pixels(mosaic.item.path)
        assert pixels.shape == (64 * (len(mosaic.parts) // 2), 128, 3)
        assert mosaic.captions == tuple(texts[name] for name in mosaic.parts)
        assert len(set(mosaic.parts)) == len(mosaic.parts)
        for name, (left, top, right, bottom) in zip(mosaic.parts, mosaic.boxes, strict=True):
            photo = load_pixels(image_folder / name)[:, 8:88].astype(float)  # the middle 80x80, scaled to 64x64
            part = pixels[top:bottom, left:right].astype(float)
            assert part.mean(axis=(0, 1)) == pytest.approx(photo.mean(axis=(0, 1)), abs=2)
    with pytest.raises(InvalidInput, match="a mosaic of 4 needs 4 images"):
        make_mosaics(dataset, dict(list(texts.items())[:3]), {4: 1}, (64, 64), 0, tmp_path)
