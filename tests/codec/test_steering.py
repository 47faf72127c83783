"""Steering: where a caption's words are, and what that does to a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tacit import container
from tacit.codec import DEFAULT_STEER, Codec, steering
from tacit.errors import CorruptWeights, InvalidInput
from tacit.models.grounding import STRIDE, Grounding
from tacit.text.caption_tokens import CaptionTokens
from tacit.text.encoders import load_encoder
from tacit.text.tokens import TextTokens


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
    class Bright(torch.nn.Module):
        def forward(self, x: torch.Tensor, tokens: TextTokens) -> torch.Tensor:
            return 40 * torch.nn.functional.avg_pool2d(x.mean(1), STRIDE) - 20

    monkeypatch.setattr(steering, "_network", Bright)
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


def test_padding_and_the_order_of_words_change_nothing(words: CaptionTokens) -> None:
    torch.manual_seed(0)
    network = Grounding().eval()
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        own = TextTokens.of(words)
        alone = network(x, own)
        both = CaptionTokens.stack([words, load_encoder("embedded")(["a much longer caption " * 3])])
        padded = TextTokens.of(both)
        first = TextTokens(padded.embeddings[:1], padded.mask[:1], padded.weights[:1])
        assert torch.allclose(alone, network(x, first), atol=1e-5)
        turned = TextTokens(own.embeddings.flip(1), own.mask.flip(1), own.weights.flip(1))
        assert torch.allclose(alone, network(x, turned), atol=1e-5)


def test_a_words_weight_counts(words: CaptionTokens) -> None:
    torch.manual_seed(0)
    network = Grounding().eval()
    own = TextTokens.of(words)
    weights = own.weights.clone()
    weights[0, 2] = 1.5
    with torch.no_grad():
        _, plain = network.words(own)
        _, weighted = network.words(TextTokens(own.embeddings, own.mask, weights))
    ratio = weighted / plain
    assert ratio[0, 2] / ratio[0, 0] == pytest.approx(1.5, rel=1e-4)
    assert weighted.sum() == pytest.approx(1, rel=1e-5)


def test_altered_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "NETWORK_SHA256", "0" * 64)
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
