"""Sizes, rates and PSNRs that are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from support.codec_files import WIDE, Picture, psnr
from tacit.codec import Codec
from tacit.codec.rate_control import PSNR_TOLERANCE, SIZE_TOLERANCE
from tacit.errors import TargetNotReached


@pytest.mark.parametrize("size", [1500, 2000, 3000, 3600])
def test_a_size_is_reached(codec: Codec, picture: Picture, size: int) -> None:
    image = picture(150, 140, "RGBA")
    result = codec.encode_result(image, "a dog", size=size)
    assert len(result.data) <= size
    assert len(result.data) >= size * (1 - SIZE_TOLERANCE) - 8  # coded in words of 4 bytes
    assert result.quality is not None
    assert result.psnr is None
    assert codec.encode(image, "a dog", result.quality) == result.data


def test_bits_per_pixel_are_reached(codec: Codec, picture: Picture) -> None:
    result = codec.encode_result(picture(150, 140), bpp=1.0)
    assert 0.98 <= result.bpp <= 1.0


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("goal", [22, 24, 25.5])
def test_a_psnr_is_reached(codec: Codec, picture: Picture, mode: str, goal: float) -> None:
    image = picture(100, 90, mode)
    result = codec.encode_result(image, psnr=goal)
    assert result.psnr is not None
    assert result.quality is not None
    assert result.psnr >= goal
    assert result.psnr == pytest.approx(psnr(image, codec.decode(result.data)), abs=1e-6)
    lower = codec.encode(image, quality=max(0, result.quality - 0.5))
    assert result.psnr < goal + 2 * PSNR_TOLERANCE or psnr(image, codec.decode(lower)) < goal or result.quality == 0


def test_more_asked_is_more_given(codec: Codec, picture: Picture) -> None:
    image = picture(150, 140)
    by_size = [codec.encode_result(image, size=s).quality or 0 for s in (1200, 1700, 2500, 4000)]
    by_psnr = [codec.encode_result(image, psnr=p).quality or 0 for p in (22, 24, 26)]
    assert by_size == sorted(set(by_size))
    assert by_psnr == sorted(set(by_psnr))


def test_generous_targets_take_the_ends_of_the_range(codec: Codec, picture: Picture) -> None:
    image = picture(60, 40)
    assert codec.encode_result(image, size=10**6).quality == 100
    assert codec.encode_result(image, bpp=100).quality == 100
    assert codec.encode_result(image, psnr=1).quality == 0


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ({"size": 20}, "a file of 20 bytes"),
        ({"size": 1}, "a file of 1 byte"),
        ({"bpp": 0.001}, "0.001 bpp"),
        ({"bpp": 1e-9}, "1e-09 bpp"),
    ],
)
def test_sizes_out_of_reach(codec: Codec, picture: Picture, target: dict[str, Any], asked: str) -> None:
    image = picture(60, 40)
    least = len(codec.encode(image, quality=0))
    with pytest.raises(TargetNotReached) as caught:
        codec.encode(image, **target)
    bpp = f"{8 * least / (60 * 40):.4g} bpp"
    assert str(caught.value) == f"{asked} cannot be reached: the lowest quality takes {least} bytes ({bpp})"


def test_a_psnr_out_of_reach(codec: Codec, picture: Picture) -> None:
    image = picture(60, 40)
    best = psnr(image, codec.decode(codec.encode(image, quality=100)))
    with pytest.raises(TargetNotReached, match=rf"60 dB cannot be reached: the highest quality gives {best:.2f} dB"):
        codec.encode(image, psnr=60)


def test_a_search_analyses_once(codec: Codec, counted: dict[str, int], picture: Picture) -> None:
    codec.encode(picture(100, 90), "a dog", size=1200)
    assert counted == {"analysed": 1, "decoded": 0}
    codec.encode(picture(*WIDE), bpp=0.8)
    assert counted["analysed"] == 1 + 2
    codec.encode(picture(100, 90), psnr=25)
    assert counted["analysed"] == 1 + 2 + 1
