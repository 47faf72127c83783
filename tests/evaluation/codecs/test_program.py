"""Programs as codecs under measurement."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.pictures import synthetic
from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.codecs import find_codec
from tacit.evaluation.codecs.codec_file import read_codec_file
from tacit.evaluation.codecs.program import ProgramCodec
from tacit.image.psnr import psnr


def _toml(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# A codec as somebody may have it: a program that takes paths and a quality.
PROGRAM = """
import sys
from PIL import Image
mode, source, target, *rest = [*sys.argv[1:], "", ""]
if mode == "version":
    print("codec 1.2.3")
elif mode == "encode":
    if rest[0] == "13":
        print("cannot do thirteen")
        raise SystemExit(3)
    elif rest[0] != "0":
        Image.open(source).save(target, "JPEG", quality=int(rest[0]))
elif mode == "sleep":
    import time
    time.sleep(30)
else:
    Image.open(source).save(target)
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "codec.py"
    path.write_text(PROGRAM)
    return f"'{sys.executable}' '{path}'"


def _commands(tmp_path: Path, program: str, more: str = "") -> dict[str, ProgramCodec]:
    text = f"""
[codec.mine]
encode = "{program} encode {{input}} {{file}} {{quality}}"
decode = ["{program} decode {{file}} {{folder}}/between.ppm", "{program} decode {{folder}}/between.ppm {{output}}"]
version = "{program} version"
suffix = "jpg"
qualities = [20, 80]
{more}
"""
    return read_codec_file(_toml(tmp_path / "codecs.toml", text))


def test_a_program_is_run_by_its_templates(tmp_path: Path, program: str) -> None:
    codec = find_codec("mine", _commands(tmp_path, program))
    pixels = synthetic(96, 64)
    cost = codec.encode(pixels, None, 80, tmp_path / "with space.jpg", 1)
    decoded, back = codec.decode(tmp_path / "with space.jpg", 80, 1)
    assert psnr(pixels, decoded) > 30
    for spent in (cost, back):
        assert spent.seconds > 0.01
        assert spent.memory is None or spent.memory > 5_000_000  # the program's own, an interpreter's at least
    assert codec.settings()["version"] == "codec 1.2.3"


def test_what_a_program_does_wrong_is_said(tmp_path: Path, program: str) -> None:
    codec = _commands(tmp_path, program)["mine"]
    with pytest.raises(InvalidInput, match="exit status 3: cannot do thirteen"):
        codec.encode(synthetic(16, 16), None, 13, tmp_path / "x.jpg", 1)
    with pytest.raises(InvalidInput, match="wrote no file"):
        codec.encode(synthetic(16, 16), None, 0, tmp_path / "x.jpg", 1)
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    with pytest.raises(InvalidInput, match=r"mine: python.*exit status 1"):
        codec.decode(tmp_path / "x.jpg", 80, 1)


def test_a_program_that_does_not_end_is_ended(tmp_path: Path, program: str) -> None:
    text = f"""
[codec.slow]
encode = "{program} sleep {{input}} {{file}}"
decode = "{program} decode {{file}} {{output}}"
suffix = "x"
qualities = ["only"]
timeout = 0.3
"""
    codec = read_codec_file(_toml(tmp_path / "codecs.toml", text))["slow"]
    with pytest.raises(InvalidInput, match=r"more than 0\.3 s"):
        codec.encode(synthetic(16, 16), None, "only", tmp_path / "x", 1)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    commands = _commands(tmp_path, "no-such-program-here")
    with pytest.raises(MissingExtra, match="program no-such-program-here is not installed"):
        find_codec("mine", commands)
