"""Steering: what is found of a caption, and what that does to a file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit import container
from tacit.codec import DEFAULT_STEER, Codec
from tacit.codec.options import DEFAULT_FINDER
from tacit.codec.steering import COVER, offsets, relevance, steering
from tacit.errors import InvalidInput, UnknownModel
from tacit.finding import FINDERS, Found, FoundThing


def picture(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(width * 10_000 + height)
    small = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return small.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def red_box(width: int, height: int) -> np.ndarray:
    """A grey image with a red box of 128x128 pixels in its middle."""
    pixels = np.full((height, width, 3), 120, np.uint8)
    top, left = height // 2 - 64, width // 2 - 64
    pixels[top : top + 128, left : left + 128] = (210, 20, 20)
    return pixels


def found_everywhere(values: np.ndarray) -> Found:
    return Found(values, (FoundThing("a boat", ("colour",), values),))


def left_half(pixels: np.ndarray, caption: str) -> np.ndarray:
    del caption
    return np.repeat([[1.0, 0.0]], len(pixels), axis=0)


def nothing(pixels: np.ndarray, caption: str) -> None:
    del pixels, caption


@pytest.mark.parametrize("size", [(1, 1), (63, 65), (300, 200), (2000, 90), (1100, 1030)])
@pytest.mark.parametrize("places", [(1, 1), (3, 5), (192, 100)])
def test_relevance_has_a_value_for_each_cell(size: tuple[int, int], places: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random(places)
    cells = relevance(values, *size, cover=1)
    assert cells.shape == container.cells(*size)
    # what the cells have, by the pixels that each of them covers, is what the map has
    height, width = np.repeat(np.arange(cells.shape[0]), 64)[: size[1]], np.repeat(np.arange(cells.shape[1]), 64)
    assert cells[np.ix_(height, width[: size[0]])].mean() == pytest.approx(values.mean(), abs=1e-6)
    assert (relevance(np.ones(places), *size) == 1).all()
    assert np.allclose(relevance(np.full(places, 0.1), *size), 0.1 / COVER)


def test_a_cell_that_is_half_covered_counts_in_full() -> None:
    values = np.zeros((8, 16))
    values[:, :5] = 1
    assert relevance(values, 256, 128).tolist() == [[1, 0.5, 0, 0]] * 2
    assert relevance(values, 256, 128, cover=1).tolist() == [[1, 0.25, 0, 0]] * 2


def test_offsets_are_whole_numbers_about_zero() -> None:
    assert offsets(np.array([[1, 0, 0, 0]]), 20).tolist() == [[15, -5, -5, -5]]
    assert abs(offsets(np.random.default_rng(0).random((9, 12)), 20).mean()) < 0.1


def test_where_nothing_is_found_nothing_is_steered() -> None:
    assert steering(Found(np.zeros((2, 2)), (FoundThing("a boat", (), None),)), 128, 128, 20) is None
    assert steering(Found(np.zeros((2, 2)), ()), 128, 128, 20) is None
    assert steering(found_everywhere(np.full((2, 4), 0.7)), 256, 128, 20) is None
    assert steering(found_everywhere(np.array([[1.0, 0]])), 128, 64, 20) is not None


def steered(path: Path, steer: float, **options: object) -> Codec:
    return Codec(path, threads=1, precision="fp32", steer=steer, **options)  # type: ignore[arg-type]


def test_a_caption_steers_the_file(tiny_weights: Path) -> None:
    image = picture(256, 128)
    codec = steered(tiny_weights, 40, finder=left_half)
    result = codec.encode_result(image, "a boat", 50)
    assert result.found is not None
    assert result.found.found == ("a boat",)
    data = result.data
    steps = container.read(data).header.quality_map
    assert steps is not None
    assert np.frombuffer(steps, np.int8).tolist() == [20, 20, -20, -20] * 2
    plain = codec.encode(image, None, 50)
    assert container.read(plain).header.quality_map is None
    assert codec.encode_result(image, None, 50).found is None
    for none in (steered(tiny_weights, 0).encode_result(image, "a boat", 50), codec.encode_result(image, "a", steer=0)):
        assert container.read(none.data).header.quality_map is None
        assert none.found is None
    assert steered(tiny_weights, 0, finder=left_half).encode(image, "a boat", 50, steer=40) == data
    error = np.square(np.asarray(codec.decode(data), float) - image).mean(axis=(0, 2))
    before = np.square(np.asarray(codec.decode(plain), float) - image).mean(axis=(0, 2))
    assert error[:96].mean() < before[:96].mean()
    assert error[160:].mean() > before[160:].mean()

    own = np.array([[90, 0, 0, 0], [0, 0, 0, -90]])
    both = container.read(codec.encode(image, "a boat", 50, quality_map=own)).header.quality_map
    assert np.frombuffer(both or b"", np.int8).tolist() == [100, 20, -20, -20, 20, 20, -20, -100]
    batch = codec.encode_batch([image, image], ["a boat", None], 50)
    assert [container.read(d).header.quality_map for d in batch] == [steps, None]
    assert container.read(batch[0]).regions == container.read(data).regions
    bits = codec.bit_map(image, "a boat", 50)
    assert bits[:, :6].mean() > bits[:, 10:].mean()


def test_what_is_not_understood_costs_nothing(tiny_weights: Path) -> None:
    image = picture(256, 128)
    for caption, options in (("a qwertz", {}), ("the flag", {}), ("a boat", {"finder": nothing})):
        result = steered(tiny_weights, 40, **options).encode_result(image, caption, 50)
        assert result.found is not None
        assert result.found.found == ()
        assert len(result.found.missed) == 1
        assert result.data == steered(tiny_weights, 0).encode(image, caption, 50)


def test_the_embedded_finder_steers_by_default(tiny_weights: Path) -> None:
    assert DEFAULT_FINDER in FINDERS
    codec = steered(tiny_weights, 40)
    result = codec.encode_result(red_box(384, 384), "the red box", 50)
    assert result.found is not None
    assert result.found.found == ("red box",)
    steps = np.frombuffer(container.read(result.data).header.quality_map or b"", np.int8).reshape(6, 6)
    assert steps[2:4, 2:4].min() > 20
    assert steps[0].max() < 0
    copied = pickle.loads(pickle.dumps(codec))
    assert copied.encode(red_box(384, 384), "the red box", 50) == result.data


def test_finders_that_are_none(tiny_weights: Path) -> None:
    with pytest.raises(UnknownModel, match=r"finder must be one of embedded, .*got 'nobody'"):
        steered(tiny_weights, 20, finder="nobody")
    with pytest.raises(InvalidInput, match="a finder must be a name or a function, got int"):
        steered(tiny_weights, 20, finder=7)


def test_weights_of_a_fixed_rate_are_not_steered(taco_fixed_codec: Codec) -> None:
    assert taco_fixed_codec.steer == DEFAULT_STEER
    result = taco_fixed_codec.encode_result(picture(64, 64), "a boat")
    assert container.read(result.data).header.quality_map is None
    assert result.found is None


@pytest.mark.parametrize("steer", [-1, 101, float("nan")])
def test_strengths_that_are_none(tiny_weights: Path, steer: float) -> None:
    with pytest.raises(InvalidInput, match="steer"):
        steered(tiny_weights, steer)


def test_boxes_steer_in_place_of_words(tiny_weights: Path) -> None:
    image = picture(256, 128)
    codec = steered(tiny_weights, 40, finder=nothing)
    result = codec.encode_result(image, None, 50, boxes=[(0, 0, 128, 128)])
    steps = container.read(result.data).header.quality_map or b""
    assert np.frombuffer(steps, np.int8).tolist() == [20, 20, -20, -20] * 2
    assert result.found is not None
    assert result.found.found == ("box (0, 0, 128, 128)",)
    none = codec.encode_result(image, "a boat", 50, boxes=[])
    assert none.data == codec.encode(image, "a boat", 50, steer=0)
    assert codec.encode(image, None, 50, boxes=[(0, 0, 64, 64)], steer=0) == codec.encode(image, None, 50)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([(0, 0, 0, 10)], r"a box must be \(left, top, right, bottom\) with a width and a height, got \(0, 0, 0, 10\)"),
        ([(0, 0, 10)], "boxes must be a list of four numbers each"),
        (7, "boxes must be a list of four numbers each, got 7"),
        ([(300, 0, 310, 10)], r"a box must be in the image of 256x128 pixels, got \(300, 0, 310, 10\)"),
    ],
)
def test_boxes_that_are_none(tiny_weights: Path, boxes: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        steered(tiny_weights, 40).encode(picture(256, 128), boxes=boxes)
