"""Samples: a function of their number, each image once in an epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.training import grey_level
from tacit.errors import InvalidInput, PathError
from tacit.training.config import Config
from tacit.training.dataset.image_files import read_folder
from tacit.training.dataset.pool import ImagePool, open_pool
from tacit.training.dataset.samples import Recipe, Samples
from tacit.training.run import train


def drawn(samples: Samples, numbers: range) -> list[Any]:
    rows = []
    for sample in (samples[n] for n in numbers):
        assert sample.pixels is not None
        rows.append((sample.pixels.tobytes(), sample.caption, sample.caption_seen, sample.quality, sample.seed))
    return rows


def test_a_sample_is_a_function_of_its_number(pool: Path) -> None:
    recipe = Recipe(seed=3, crop=64, dropout=0.5)
    first, second = (Samples(open_pool(pool, in_memory=memory), recipe) for memory in (True, False))
    whole = drawn(first, range(12))
    assert whole == drawn(second, range(6)) + drawn(second, range(6, 12))
    assert drawn(Samples(open_pool(pool), dataclasses.replace(recipe, seed=4)), range(12)) != whole
    assert len({seed for *_, seed in whole}) == 12


def test_an_epoch_has_every_photo_once(pool: Path) -> None:
    opened = open_pool(pool)
    whole = [opened.image(i) for i in range(5)]
    flat = ImagePool.of((np.full_like(p, i), ()) for i, p in enumerate(whole))
    samples = Samples(flat, Recipe(crop=64))
    epochs = [[grey_level(samples[n]) for n in range(5 * e, 5 * e + 5)] for e in range(4)]
    assert all(sorted(e) == list(range(5)) for e in epochs)
    assert len({tuple(e) for e in epochs}) > 1
    by_area = Samples(flat, Recipe(crop=64, by_area=True))
    counts = np.bincount([grey_level(by_area[n]) for n in range(600)], minlength=5)
    areas = flat.shapes.prod(axis=1)
    assert np.abs(counts / 600 - areas / areas.sum()).max() < 0.06


def test_nothing_but_bad_images_ends_a_run(tmp_path: Path, make_config: Callable[..., Config]) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_bytes(b"no")
    with pytest.raises(InvalidInput):
        train(make_config("data.kind=folder", f"data.path={tmp_path / 'bad'}"))
    with pytest.raises(InvalidInput, match="bad images in a row"):
        Samples(read_folder(tmp_path / "bad"), Recipe())[0]
    with pytest.raises(PathError):
        read_folder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no images"):
        read_folder(tmp_path / "empty")
