"""Fixtures of the tests of reading `.tacit` files for training."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.shards import write_tar
from tacit.codec import Codec


@pytest.fixture(autouse=True)
def small_models(
    monkeypatch: pytest.MonkeyPatch,
    weights_folder: Path,
    tiny_weights: Path,
    tiny_taco_weights: Path,
    tiny_taco_fixed_weights: Path,
) -> None:
    """The small models' files are found by those that know nothing but the file, in other processes, too."""
    monkeypatch.setenv("TACIT_WEIGHTS", str(weights_folder))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in workers: float sums may depend on the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def encoded(codec: Codec, taco_codec: Codec, taco_fixed_codec: Codec) -> dict[str, bytes]:
    """Files of several models, qualities, sizes and modes."""
    from support.pictures import synthetic

    def photo(width: int, height: int, seed: int, mode: str = "RGB") -> Image.Image:
        image = Image.fromarray(synthetic(width, height, seed)).convert(mode)
        if mode == "RGBA":
            image.putalpha(90)
        return image

    return {
        "low": codec.encode(photo(150, 130, 1), quality=15),
        "high": codec.encode(photo(150, 130, 2), "stored with it", quality=90, store_caption=True),
        "wide": codec.encode(photo(200, 97, 3), quality=40.25),
        "grey": codec.encode(photo(150, 130, 4, "L"), quality=70),
        "alpha": codec.encode(photo(150, 130, 5, "RGBA"), quality=70),
        "taco": taco_codec.encode(photo(150, 130, 6), quality=60),
        "fixed": taco_fixed_codec.encode(photo(150, 130, 7)),
        "mapped": codec.encode(
            photo(150, 130, 9), quality=50, quality_map=np.array([[-40, 0, 30], [0, 9, 0], [0, 0, 50]])
        ),
        "long": codec.encode(photo(1100, 90, 8), quality=30),
    }


@pytest.fixture
def tacit_shards(tmp_path: Path, encoded: dict[str, bytes]) -> str:
    """Four shards of three samples each, numbered on: 0/00.tacit to 3/11.tacit, with captions."""
    files = [data for name, data in encoded.items() if name != "long"]
    for shard in range(4):
        members = {}
        for number in range(3 * shard, 3 * shard + 3):
            members[f"{number:02}.tacit"] = files[number % len(files)]
            members[f"{number:02}.json" if number % 2 else f"{number:02}.txt"] = (
                b'{"captions": ["number %d", "or so"], "id": 7}' % number if number % 2 else b"number %d" % number
            )
        write_tar(tmp_path / f"{shard}.tar", members)
    return f"{tmp_path}/{{0..3}}.tar"


@pytest.fixture
def leaves_files_open() -> Iterator[None]:
    """WebDataset does, where a sample is bad."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
