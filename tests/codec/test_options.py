"""The options of an encoding."""

from __future__ import annotations

from typing import Any

import pytest

import tacit
from support.codec_files import Picture
from tacit.codec import Codec, EncodeOptions, Target
from tacit.errors import InvalidInput


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"quality": -0.1}, "quality must be 0 to 100, got -0.1"),
        ({"quality": 100.5}, "quality must be 0 to 100, got 100.5"),
        ({"quality": float("nan")}, "quality must be 0 to 100, got nan"),
        ({"quality": "high"}, "quality must be a number, got 'high'"),
        ({"size": 0}, "size must be a positive number, got 0"),
        ({"size": "60kB"}, "size must be a number, got '60kB'"),
        ({"bpp": -1}, "bpp must be a positive number, got -1"),
        ({"psnr": float("inf")}, "psnr must be a positive number, got inf"),
        ({"quality": 5, "size": 100}, "got quality and size"),
        ({"bpp": 1, "psnr": 30}, "got bpp and psnr"),
    ],
)
def test_targets_that_are_none(codec: Codec, picture: Picture, target: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        codec.encode(picture(4, 4), **target)


@pytest.mark.parametrize("steer", [-1, 101, float("nan")])
def test_strengths_of_steering_that_are_none(steer: float) -> None:
    with pytest.raises(InvalidInput, match=f"steer must be 0 to 100, got {steer}"):
        EncodeOptions(steer=steer)


def test_single_fields_replace_those_of_the_options(codec: Codec, picture: Picture) -> None:
    image = picture(80, 64)
    options = EncodeOptions(quality=30, store_caption=True)
    expected = codec.encode(image, "a dog", 30, store_caption=True)
    assert codec.encode(image, "a dog", options=options) == expected
    assert codec.encode(image, "a dog", 30, options=EncodeOptions(quality=80, store_caption=True)) == expected
    assert codec.encode(image, "a dog", options=options, store_caption=False) == codec.encode(image, "a dog", 30)
    assert codec.encode_result(image, "a dog", options=options).data == expected
    assert codec.encode_batch([image], ["a dog"], options=options) == [expected]
    assert codec.prepare(image, "a dog", options=options).encode().data == expected
    assert codec.prepare(image, "a dog", store_caption=True).encode(30).data == expected
    assert tacit.encode(image, "a dog", model=codec.path, options=options) == tacit.encode(
        image, "a dog", 30, model=codec.path, store_caption=True
    )
    with pytest.raises(InvalidInput, match="got quality and size"):
        codec.encode(image, "a dog", options=options, size=900)
    with pytest.raises(TypeError, match="qualty"):
        codec.encode(image, qualty=30)  # type: ignore[call-arg]


def test_a_batch_has_one_quality(codec: Codec, picture: Picture) -> None:
    with pytest.raises(InvalidInput, match="a batch is encoded at one quality"):
        codec.encode_batch([picture(8, 8)], size=900)


def test_options_are_equal_and_hashable() -> None:
    assert EncodeOptions(quality=30) == EncodeOptions(quality=30) != EncodeOptions(quality=31)
    assert len({EncodeOptions(), EncodeOptions(), EncodeOptions(steer=3)}) == 2
    assert EncodeOptions(bpp=0.3, steer=5).target == Target(bpp=0.3)
