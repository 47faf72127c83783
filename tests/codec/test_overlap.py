"""Batches in parts, as on a GPU; here the processor plays the GPU, so that only its streams are left out."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.codec_files import Picture, levels
from tacit.codec import Codec
from tacit.codec.decoding import parts_together
from tacit.codec.torch_engine import TorchEngine
from tacit.codec.torch_overlap import IN_FLIGHT, map_overlapped
from tacit.container import Header
from tacit.errors import CorruptFile, InvalidInput

CPU = torch.device("cpu")


@pytest.fixture
def _in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images of 48x32 are a part."""
    monkeypatch.setattr(TorchEngine, "overlaps", True)
    monkeypatch.setattr(TorchEngine, "pixels_together", lambda self: 2 * 48 * 32)


def images_of(picture: Picture) -> list[Image.Image]:
    sizes = [(48, 32), (33, 20), (48, 32), (48, 32), (33, 20), (48, 32), (48, 32)]
    turned = [picture(*size, "L" if number == 3 else "RGB").rotate(90 * number) for number, size in enumerate(sizes)]
    return [image.resize(size) for image, size in zip(turned, sizes, strict=True)]


@pytest.mark.usefixtures("_in_parts")
def test_parts_change_nothing(tiny_weights: Path, picture: Picture) -> None:
    codec = Codec(tiny_weights, engine="torch", precision="fp32")
    sources = images_of(picture)
    captions = ["a dog", None, "a cat", None, None, "a red boat", "a dog"]
    files = codec.encode_batch(sources, captions, quality=60)
    for number, (source, caption, data) in enumerate(zip(sources, captions, files, strict=True)):
        assert data == codec.encode(source, caption, 60), number
    for data, image in zip(files, codec.decode_batch(files), strict=True):
        alone = codec.decode(data)
        assert (image.mode, image.size) == (alone.mode, alone.size)
        assert np.abs(levels(image) - levels(alone)).max() <= 1
    for data, latents in zip(files, codec.read_batch(files), strict=True):
        assert np.array_equal(latents.values, codec.latents(data))


@pytest.mark.usefixtures("_in_parts")
def test_a_damaged_file_of_a_part(tiny_weights: Path, picture: Picture) -> None:
    codec = Codec(tiny_weights, engine="torch", precision="fp32")
    files = codec.encode_batch(images_of(picture), quality=60)
    files[4] = files[4][:-3]
    with pytest.raises(CorruptFile):
        codec.decode_batch(files)


def test_boxes_of_several_files(codec: Codec, picture: Picture) -> None:
    files = codec.encode_batch([picture(100, 90), picture(100, 90)], quality=60)
    boxes = [(3, 4, 60, 50), None]
    for data, box, latents in zip(files, boxes, codec.read_batch(files, boxes=boxes), strict=True):
        alone = codec.read(data, box=box)
        assert (latents.box, latents.origin) == (alone.box, alone.origin)
        assert np.array_equal(latents.values, alone.values)
    with pytest.raises(InvalidInput, match="one box for each file, got 1 for 2"):
        codec.read_batch(files, boxes=[None])


def test_parts_are_of_equal_sizes_and_as_large_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [(40, 30), (64, 64), (40, 30), (40, 30), (64, 64), (500, 400)]
    headers = [
        Header(width=w, height=h, color=True, alpha=False, quality=50, model_id=1, weights_hash=bytes(8))
        for w, h in sizes
    ]
    engine = TorchEngine()
    assert parts_together(headers, engine) == [[0, 1, 2, 3, 4, 5]]
    assert parts_together([], engine) == []
    monkeypatch.setattr(TorchEngine, "overlaps", True)
    for most, expected in ((2500, [[0, 2], [3], [1], [4], [5]]), (1 << 20, [[0, 2, 3, 1, 4, 5]])):
        monkeypatch.setattr(TorchEngine, "pixels_together", lambda self, most=most: most)
        assert parts_together(headers, engine) == expected
    assert parts_together([], engine) == []


def test_a_few_parts_are_in_flight() -> None:
    lock = threading.Lock()
    now, most = 0, 0

    def work(part: Sequence[int]) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return sum(part)

    assert map_overlapped(work, [[n, n] for n in range(8)], CPU) == [2 * n for n in range(8)]
    assert most == IN_FLIGHT
