"""Pillow's formats, as codecs under measurement and as files of a given size."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from support.evaluations import usable_codec
from support.pictures import synthetic
from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.codecs import CODECS, find_codec
from tacit.evaluation.codecs.pillow import BASELINES, PillowCodec, largest_file


@pytest.mark.parametrize("name", ["avif", "jxl"])
def test_decoding_takes_as_many_threads_as_it_is_given(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = usable_codec(name)
    codec.encode(synthetic(40, 30), None, 60, tmp_path / "file", 1)
    plugin = sys.modules["PIL.AvifImagePlugin" if name == "avif" else "pillow_jxl.JpegXLImagePlugin"]
    library: Any = plugin._avif if name == "avif" else plugin
    maker = "AvifDecoder" if name == "avif" else "Decoder"
    before = {key: value for key, value in vars(plugin).items() if key.isupper()}
    seen = []

    def decoder(*positional: object, **named: object) -> object:
        seen.append(positional[2] if name == "avif" else named["num_threads"])
        return original(*positional, **named)

    original = getattr(library, maker)
    monkeypatch.setattr(library, maker, decoder)
    for threads in (1, 3):
        codec.decode(tmp_path / "file", 60, threads)
    assert seen == [1, 3]
    assert {key: value for key, value in vars(plugin).items() if key.isupper()} == before


@pytest.mark.parametrize("codec", [c for c in CODECS.values() if isinstance(c, PillowCodec)], ids=lambda c: c.name)
def test_settings_name_the_library(codec: PillowCodec) -> None:
    assert codec.missing() or codec.settings()["library"]


@pytest.mark.parametrize(
    ("name", "quality"), [("jpeg", 96), ("jpeg", "low"), ("webp", -1), ("avif", 50.5), ("jxl", 100)]
)
def test_qualities_that_a_format_has_not_are_refused(name: str, quality: float | str) -> None:
    with pytest.raises(InvalidInput, match=f"{name}: quality must be .*, got {quality}"):
        CODECS[name].check(quality)


def test_a_missing_plugin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(MissingExtra, match=r"tacit\[eval\]"):
        find_codec("jxl")


needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


@needs_avif
@pytest.mark.parametrize("codec", BASELINES.values(), ids=lambda c: c.name)
def test_the_search_finds_the_largest_file_that_fits(codec: PillowCodec) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC)
    sizes = {q: len(codec.encode_image(image, q)) for q in (codec.lowest, 40, 41)}
    quality, data = largest_file(codec, lambda q: codec.encode_image(image, q), sizes[40])
    assert quality >= 40
    assert len(data) <= sizes[40]
    assert data == codec.encode_image(image, quality)
    least = largest_file(codec, lambda q: codec.encode_image(image, q), 10)
    assert least == (codec.lowest, codec.encode_image(image, codec.lowest))


def test_baselines_write_what_they_say() -> None:
    image = Image.linear_gradient("L").convert("RGB")
    with Image.open(io.BytesIO(BASELINES["JPEG"].encode_image(image, 50))) as jpeg:
        assert jpeg.format == "JPEG"
        assert jpeg.info["progressive"]
    assert BASELINES["JPEG"].setting == "optimize, progressive"
    assert BASELINES["WebP"].setting == "method 6"
