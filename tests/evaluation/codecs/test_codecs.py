"""Codecs by their names."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from support.pictures import synthetic
from tacit.errors import UnknownModel
from tacit.evaluation.codecs import CODECS, find_codec
from tacit.evaluation.codecs.program import ProgramCodec


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UnknownModel, match=r"model must be one of .*, got 'jpg'.*jpeg, webp, avif"):
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
