"""Steering: where a caption's words are, and what that does to a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tacit import container
from tacit.codec import DEFAULT_STEER, Codec, steering
from tacit.codec.steering import STRIDE
from tacit.errors import CorruptWeights, InvalidInput
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.encoders import load_encoder


@pytest.fixture(scope="module")
def words() -> CaptionTokens:
    return load_encoder("embedded")(["a red boat on the lake"])


def picture(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(width * 10_000 + height)
    small = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return small.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


@pytest.mark.parametrize("size", [(1, 1), (63, 65), (300, 200), (2000, 90), (90, 2000), (1100, 1030)])
@pytest.mark.parametrize("channels", [1, 3])
def test_relevance_has_a_value_for_each_cell(size: tuple[int, int], channels: int, words: CaptionTokens) -> None:
    found = steering.relevance(picture(*size)[:, :, :channels], words)
    assert found.shape == container.cells(*size)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1


def test_relevance_is_where_the_pixels_are(monkeypatch: pytest.MonkeyPatch, words: CaptionTokens) -> None:
    def bright(image: np.ndarray, tokens: CaptionTokens) -> np.ndarray:
        rows, columns = (side // STRIDE for side in image.shape[2:])
        cells: np.ndarray = image.mean(axis=(0, 1)).reshape(rows, STRIDE, columns, STRIDE).mean(axis=(1, 3))
        return 40 * cells - 20

    monkeypatch.setattr(steering, "_logits", bright)
    pixels = np.zeros((512, 768, 3), np.uint8)
    pixels[128:256, 64:192] = 255
    found = steering.relevance(pixels, words)
    expected = np.zeros((8, 12))
    expected[2:4, 1:3] = 1
    assert np.abs(found - expected).max() < 0.35
    assert np.abs(found - expected).mean() < 0.03
    offsets = steering.steering(pixels, words, 40)
    assert offsets[2, 1] > 30
    assert -5 < offsets[7, 11] < 0
    assert abs(offsets.mean()) < 0.6
    assert not steering.steering(np.full((512, 768, 3), 90, np.uint8), words, 40).any()


@pytest.mark.parametrize("name", ["NETWORK_SHA256", "GRAPH_SHA256"])
def test_altered_weights_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, name, "0" * 64)
    steering._network.cache_clear()
    with pytest.raises(CorruptWeights, match="reinstall"):
        steering.relevance(picture(64, 64), CaptionTokens.empty(1, 256))
    steering._network.cache_clear()


def steered(path: Path, steer: float) -> Codec:
    return Codec(path, threads=1, precision="fp32", steer=steer)


def test_a_caption_steers_the_file(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def left(pixels: np.ndarray, tokens: CaptionTokens) -> np.ndarray:
        found = np.zeros(container.cells(pixels.shape[1], pixels.shape[0]), np.float32)
        found[:, :2] = 1
        return found

    monkeypatch.setattr(steering, "relevance", left)
    image = picture(256, 128)
    codec = steered(tiny_weights, 40)
    data = codec.encode(image, "a boat", 50)
    offsets = container.read(data).header.quality_map
    assert offsets is not None
    assert np.frombuffer(offsets, np.int8).tolist() == [20, 20, -20, -20] * 2
    plain = codec.encode(image, None, 50)
    assert container.read(plain).header.quality_map is None
    assert container.read(steered(tiny_weights, 0).encode(image, "a boat", 50)).header.quality_map is None
    assert container.read(codec.encode(image, "a boat", 50, steer=0)).header.quality_map is None
    assert steered(tiny_weights, 0).encode(image, "a boat", 50, steer=40) == data
    error = np.square(np.asarray(codec.decode(data), float) - image).mean(axis=(0, 2))
    before = np.square(np.asarray(codec.decode(plain), float) - image).mean(axis=(0, 2))
    assert error[:96].mean() < before[:96].mean()
    assert error[160:].mean() > before[160:].mean()

    own = np.array([[90, 0, 0, 0], [0, 0, 0, -90]])
    both = container.read(codec.encode(image, "a boat", 50, quality_map=own)).header.quality_map
    assert np.frombuffer(both or b"", np.int8).tolist() == [100, 20, -20, -20, 20, 20, -20, -100]
    batch = codec.encode_batch([image, image], ["a boat", None], 50)
    assert [container.read(d).header.quality_map for d in batch] == [offsets, None]
    assert container.read(batch[0]).regions == container.read(data).regions
    bits = codec.bit_map(image, "a boat", 50)
    assert bits[:, :6].mean() > bits[:, 10:].mean()


def test_nothing_is_stored_where_nothing_is_to_say(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "relevance", lambda pixels, tokens: np.full((2, 4), 0.7, np.float32))
    data = steered(tiny_weights, 40).encode(picture(256, 128), "all of it", 50)
    assert container.read(data).header.quality_map is None


def test_weights_of_a_fixed_rate_are_not_steered(taco_fixed_codec: Codec) -> None:
    assert taco_fixed_codec.steer == DEFAULT_STEER
    data = taco_fixed_codec.encode(picture(64, 64), "a boat")
    assert container.read(data).header.quality_map is None


@pytest.mark.parametrize("steer", [-1, 101, float("nan")])
def test_strengths_that_are_none(tiny_weights: Path, steer: float) -> None:
    with pytest.raises(InvalidInput, match="steer"):
        steered(tiny_weights, steer)
