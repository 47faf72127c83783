"""VVenC and SVT-AV1 as codecs of single images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.evaluations import usable_codec
from support.pictures import synthetic
from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.codecs import ffmpeg, find_codec
from tacit.evaluation.codecs.ffmpeg import SVT_AV1, VVENC
from tacit.image.psnr import psnr


@pytest.fixture
def forgotten() -> Iterator[None]:
    """ffmpeg is looked for anew in a test, and after it."""
    caches = (ffmpeg._program, ffmpeg._encoder_version, ffmpeg._ffmpeg_version)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svt-av1", "vvenc"])
def test_a_file_is_the_bitstream_and_a_byte_ahead_of_it_only_for_odd_sizes(name: str, tmp_path: Path) -> None:
    codec = usable_codec(name)
    begin = {"svt-av1": b"\x12\x00", "vvenc": b"\x00\x00"}[name]
    quality = codec.qualities[-1]
    target = tmp_path / f"x.{codec.suffix}"
    for width, height, first in ((32, 24, b""), (31, 24, b"\x02"), (32, 23, b"\x01"), (31, 23, b"\x03")):
        pixels = synthetic(width, height)
        codec.encode(pixels, None, quality, target, 1)
        assert target.read_bytes().startswith(first + begin)
        decoded, _ = codec.decode(target, quality, 2)
        assert decoded.shape == pixels.shape
        assert psnr(pixels, decoded) > 35


@pytest.mark.parametrize("codec", [SVT_AV1, VVENC], ids=lambda c: c.name)
def test_settings_name_the_encoder_its_version_and_the_pixels(codec: ffmpeg.FfmpegCodec) -> None:
    if (why := codec.missing()) is not None:
        pytest.skip(why)
    settings = codec.settings()
    assert settings["library"].startswith(f"{codec.encoder} ")
    assert "imageio-ffmpeg" in settings["ffmpeg"]
    assert settings["pixels"] == "10-bit 4:2:0, BT.709, full range"
    assert not any("/" in str(value) for value in settings.values())  # no path of this machine


@pytest.mark.parametrize("quality", [-1, 64, 30.5, "low"])
def test_quantizers_that_it_has_not_are_refused(quality: float | str) -> None:
    with pytest.raises(InvalidInput, match=f"vvenc: quality must be a whole number from 0 to 63, got {quality}"):
        VVENC.check(quality)


def test_rates_rise_as_the_quantizer_falls() -> None:
    for codec in (SVT_AV1, VVENC):
        assert list(codec.qualities) == sorted(codec.qualities, reverse=True)


@pytest.mark.usefixtures("forgotten")
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtra, match=r"vvenc needs ffmpeg .* pip install 'tacit\[anchors\]'"):
        find_codec("vvenc")


@pytest.mark.usefixtures("forgotten")
def test_an_ffmpeg_without_the_encoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "_program", lambda: sys.executable)
    assert VVENC.missing() == f"vvenc: the ffmpeg of imageio-ffmpeg was built without libvvenc: {sys.executable}"
