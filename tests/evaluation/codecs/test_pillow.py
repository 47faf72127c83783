"""Pillow's formats, as codecs under measurement and as files of a given size."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from support.evaluations import usable_codec
from support.pictures import synthetic
from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.bjontegaard import Curve, rate_difference
from tacit.evaluation.codecs import CODECS, find_codec
from tacit.evaluation.codecs.pillow import PillowCodec, largest_file, option_text
from tacit.evaluation.codecs.pillow_formats import AVIF, AVIF_PSNR, AVIF_SLOW, AVIF_SLOW_PSNR, BASELINES, HEIC
from tacit.image.psnr import psnr


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


def test_a_search_that_knows_files_finds_what_bisection_finds_with_fewer_tries() -> None:
    tries: list[float] = []

    def encode(quality: float) -> bytes:
        tries.append(quality)
        return bytes(int(2500 * math.exp(0.037 * (quality // 2 * 2))))  # two qualities share a file, as AVIF's do

    limits = (13000, 6500, 3900)
    bisected = [largest_file(AVIF, encode, limit) for limit in limits]
    steps, known = len(set(tries)), dict[float, bytes]()
    tries.clear()
    for limit, expected in zip(limits, bisected, strict=True):
        found = largest_file(
            AVIF, lambda quality: known.setdefault(quality, encode(quality)), limit, pixels=1 << 18, known=known
        )
        assert found == expected
    assert len(tries) == len(set(tries)) < 0.75 * steps


def test_baselines_write_what_they_say() -> None:
    image = Image.linear_gradient("L").convert("RGB")
    with Image.open(io.BytesIO(BASELINES["JPEG"].encode_image(image, 50))) as jpeg:
        assert jpeg.format == "JPEG"
        assert jpeg.info["progressive"]
    assert BASELINES["JPEG"].setting == "optimize, progressive"
    assert BASELINES["WebP"].setting == "method 6"


def test_nested_options_are_told_by_their_entries() -> None:
    assert option_text({"speed": 0, "advanced": {"tune": "psnr"}, "autotiling": False}) == "speed 0, tune psnr"


@needs_avif
def test_settings_say_what_avif_is_tuned_for_and_the_default_is_that() -> None:
    tune = AVIF.settings()["tune"]
    assert tune.endswith(", the default")
    assert AVIF_SLOW.settings()["tune"] == tune
    assert AVIF_PSNR.settings()["tune"] == AVIF_SLOW_PSNR.settings()["tune"] == "psnr"
    image = Image.fromarray(synthetic(96, 80))
    named = dataclasses.replace(AVIF, options={**AVIF.options, "advanced": {"tune": tune.split(",")[0]}})
    assert named.encode_image(image, 40) == AVIF.encode_image(image, 40) != AVIF_PSNR.encode_image(image, 40)


@needs_avif
def test_the_psnr_tune_pays_by_psnr(tmp_path: Path) -> None:
    pixels = synthetic(160, 120)
    default = dataclasses.replace(AVIF_PSNR, options={"speed": 4, "subsampling": "4:4:4"})
    curves: list[Curve] = []
    for codec in (default, AVIF_PSNR):
        target = tmp_path / "x.avif"
        values = []
        for quality in (20, 40, 60, 80):
            codec.encode(pixels, None, quality, target, 1)
            values.append((target.stat().st_size, psnr(pixels, codec.decode(target, quality, 1)[0])))
        sizes, qualities = zip(*values, strict=True)
        curves.append((sizes, qualities))
    anchor, test = curves
    assert rate_difference(anchor, test).value < -3


def test_heic_takes_one_thread_and_leaves_the_codec_as_it_is(tmp_path: Path) -> None:
    codec = usable_codec("heic")
    before = json.dumps(codec.settings(), sort_keys=True)
    codec.encode(synthetic(40, 30), None, 40, tmp_path / "x.heic", 4)
    assert json.dumps(codec.settings(), sort_keys=True) == before
    assert HEIC.fixed_options["enc_params"]["x265:pools"] == "none"


def test_heic_without_its_plugin_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif.HeifImagePlugin", None)
    with pytest.raises(MissingExtra, match=r"heic needs a plugin of Pillow: pip install 'tacit\[anchors\]'"):
        find_codec("heic")
