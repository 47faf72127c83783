"""Codecs by their names."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from support.evaluations import usable_codec
from support.pictures import synthetic
from tacit.errors import UnknownModel
from tacit.evaluation.codecs import CODECS, find_codec
from tacit.evaluation.codecs.program import ProgramCodec
from tacit.image.psnr import psnr

SLOW = ("avif-slow", "avif-slow-psnr", "svt-av1", "vvenc")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in CODECS])
def test_images_go_to_files_and_back_and_rates_rise(name: str, tmp_path: Path) -> None:
    codec = usable_codec(name)
    pixels = synthetic(75, 59)
    sizes, fidelity = [], []
    for quality in dict.fromkeys((codec.qualities[:2][-1], codec.qualities[-1])):  # one if there is only one
        target = tmp_path / f"{quality}.{codec.suffix}"
        cost = codec.encode(pixels, None, codec.check(quality), target, 1)
        decoded, back = codec.decode(target, quality, 1)
        assert decoded.shape == pixels.shape
        assert decoded.dtype == np.uint8
        assert cost.seconds > 0 < back.seconds
        sizes.append(target.stat().st_size)
        fidelity.append(psnr(pixels, decoded))
    assert all(low < high for values in (sizes, fidelity) for low, high in pairwise(values))
    assert min(fidelity) > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", CODECS)
def test_files_do_not_depend_on_threads(name: str, tmp_path: Path) -> None:
    codec = usable_codec(name)
    # Noise takes the slowest encoders long, and the video encoders run in one thread anyway.
    size = (24, 32) if name in SLOW else (300, 400)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    files = []
    for threads in (1, 2, 4):
        target = tmp_path / f"{threads}.{codec.suffix}"
        codec.encode(pixels, None, codec.qualities[:3][-1], target, threads)
        files.append(target.read_bytes())
    assert len(set(files)) == 1


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UnknownModel, match=r"model must be one of .*, got 'jpg'.*jpeg, jpegli, webp, avif"):
        find_codec("jpg")


def test_codecs_can_be_sent_to_other_processes(tiny_weights: Path) -> None:
    program = ProgramCodec(
        name="mine",
        suffix="x",
        qualities=(1,),
        encode_commands=("x {input} {file}",),
        decode_commands=("x {file} {output}",),
    )
    for codec in (*CODECS.values(), find_codec(str(tiny_weights)), program):
        assert pickle.loads(pickle.dumps(codec)).name == codec.name


def test_only_tacits_models_are_its_own_and_decode_to_floats(tiny_weights: Path, tmp_path: Path) -> None:
    model = find_codec(str(tiny_weights), precision="fp32")
    assert model.is_own
    assert model.held_memory == 8 * tiny_weights.stat().st_size
    pixels = synthetic(24, 16)
    for codec in (CODECS["jpeg"], model):
        file = tmp_path / f"x.{codec.suffix}"
        codec.encode(pixels, None, codec.qualities[0], file, 1)
        unclamped = codec.decode_unclamped(file, codec.qualities[0], 1)
        assert (unclamped is not None) is codec.is_own
    assert not any(codec.is_own or codec.held_memory for codec in CODECS.values())
