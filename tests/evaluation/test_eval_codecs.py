"""Codecs under measurement: Pillow's, tacit's models, and programs by their commands."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from support.paths import ROOT
from support.pictures import synthetic
from tacit.codec import Codec
from tacit.errors import InvalidInput, MissingExtra, PathError, UnknownModel
from tacit.evaluation.codecs import CODECS, EvalCodec, find_codec
from tacit.evaluation.codecs.codec_file import read_codec_file
from tacit.evaluation.codecs.program import DECODE_FIELDS, ENCODE_FIELDS, ProgramCodec
from tacit.evaluation.codecs.tacit import TacitCodec

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


def _toml(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


def _available(name: str) -> EvalCodec:
    codec = CODECS[name]
    if (why := codec.missing()) is not None:
        pytest.skip(why)
    return codec


@pytest.mark.parametrize("name", list(CODECS))
def test_pillows_formats_go_to_files_and_back_and_rates_rise(name: str, tmp_path: Path) -> None:
    codec = _available(name)
    pixels = synthetic(120, 88)
    sizes, fidelity = [], []
    for quality in (codec.qualities[1], codec.qualities[-1]):
        target = tmp_path / f"{quality}.{codec.suffix}"
        cost = codec.encode(pixels, None, codec.check(quality), target, 1)
        decoded, back = codec.decode(target, quality, 1)
        assert decoded.shape == pixels.shape
        assert decoded.dtype == np.uint8
        assert cost.seconds > 0 < back.seconds
        sizes.append(target.stat().st_size)
        fidelity.append(_psnr(pixels, decoded))
    assert sizes[0] < sizes[1]
    assert 20 < fidelity[0] < fidelity[1]
    assert codec.settings()["library"]


@pytest.mark.parametrize("name", list(CODECS))
def test_files_do_not_depend_on_threads(name: str, tmp_path: Path) -> None:
    codec = _available(name)
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    files = []
    for threads in (1, 2, 4):
        target = tmp_path / f"{threads}.{codec.suffix}"
        codec.encode(pixels, None, codec.qualities[2], target, threads)
        files.append(target.read_bytes())
    assert len(set(files)) == 1


@pytest.mark.parametrize("name", ["avif", "jxl"])
def test_decoding_takes_as_many_threads_as_it_is_given(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = _available(name)
    codec.encode(synthetic(40, 30), None, 60, tmp_path / "file", 1)
    plugin = sys.modules["PIL.AvifImagePlugin" if name == "avif" else "pillow_jxl.JpegXLImagePlugin"]
    library, maker, at = (plugin._avif, "AvifDecoder", 2) if name == "avif" else (plugin, "Decoder", "num_threads")
    before = {key: value for key, value in vars(plugin).items() if key.isupper()}
    seen = []

    def decoder(*given: object, **named: object) -> object:
        seen.append({**dict(enumerate(given)), **named}[at])
        return made(*given, **named)

    made = getattr(library, maker)
    monkeypatch.setattr(library, maker, decoder)
    for threads in (1, 3):
        codec.decode(tmp_path / "file", 60, threads)
    assert seen == [1, 3]
    assert {key: value for key, value in vars(plugin).items() if key.isupper()} == before


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


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UnknownModel, match=r"model must be one of .*, got 'jpg'.*jpeg, webp, avif"):
        find_codec("jpg")


def test_a_model_is_found_with_and_without_captions(tiny_weights: Path, tmp_path: Path) -> None:
    plain, own, swapped = (
        find_codec(f"{tiny_weights}{end}", precision="fp32") for end in ("", "+captions", "+swapped")
    )
    assert [c.name for c in (plain, own, swapped)] == ["tiny", "tiny+captions", "tiny+swapped"]
    assert [c.captions for c in (plain, own, swapped)] == ["none", "own", "swapped"]
    pixels = synthetic(96, 80)
    files = []
    for caption in (None, "a red boat on a lake"):
        own.encode(pixels, caption, 60.0, tmp_path / "x.tacit", 1)
        files.append((tmp_path / "x.tacit").read_bytes())
    assert files[0] != files[1]  # the caption reaches the encoder
    decoded, _ = own.decode(tmp_path / "x.tacit", 60.0, 1)
    assert _psnr(pixels, decoded) > 20
    settings = plain.settings()
    assert settings["weights"]["all"]["file"] == "tiny.safetensors"
    assert settings["precision"] == "fp32"
    with pytest.raises(InvalidInput, match="0 to 100"):
        plain.check(101)


def test_how_far_captions_steer_is_part_of_a_codec(tiny_weights: Path, tmp_path: Path) -> None:
    """Also of its settings: results with another strength are others."""
    ends = ("", "+captions", "+captions+steer0", "+steer40", "+swapped+weighted+steer12.5")
    codecs = [find_codec(f"{tiny_weights}{end}", precision="fp32") for end in ends]
    assert [c.name for c in codecs] == [f"tiny{end}" for end in ends]
    assert [c.captions for c in codecs] == ["none", "own", "own", "own", "swapped"]
    assert [c.settings().get("steer") for c in codecs] == [None, Codec().steer, None, 40, 12.5]
    assert len({str(c.settings()) for c in codecs}) == 5
    pixels = synthetic(160, 130)
    for steer, codec in ((0, codecs[2]), (40, codecs[3])):
        codec.encode(pixels, "a red boat on a lake", 60.0, tmp_path / "x.tacit", 1)
        wanted = Codec(tiny_weights, precision="fp32", steer=steer).encode(pixels, "a red boat on a lake", 60.0)
        assert (tmp_path / "x.tacit").read_bytes() == wanted
    with pytest.raises(InvalidInput, match="0 to 100"):
        find_codec(f"{tiny_weights}+steer101")


def test_the_unclamped_picture_is_the_decoded_one_before_rounding(tiny_weights: Path, tmp_path: Path) -> None:
    codec = find_codec(str(tiny_weights), precision="fp32")
    assert isinstance(codec, TacitCodec)
    pixels = np.where(synthetic(90, 70) > 128, 255, 0).astype(np.uint8)  # overshoots
    codec.encode(pixels, None, 30.0, tmp_path / "x.tacit", 1)
    floats = codec.decode_unclamped(tmp_path / "x.tacit", 30.0, 1)
    decoded, _ = codec.decode(tmp_path / "x.tacit", 30.0, 1)
    assert floats.shape == pixels.shape
    assert floats.min() < 0
    assert floats.max() > 1
    np.testing.assert_allclose(np.rint(floats.clip(0, 1) * 255), decoded, atol=1)


def test_weights_of_fixed_rate_in_a_folder_make_one_curve(
    tiny_taco_fixed_weights: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    for name in ("high", "low"):
        (folder / f"{name}.safetensors").write_bytes(tiny_taco_fixed_weights.read_bytes())
    codec = find_codec(f"{folder}+captions")
    assert codec.name == "published+captions"
    assert codec.qualities == ("high", "low")
    assert codec.check("low") == "low"
    with pytest.raises(InvalidInput, match="must be one of high, low"):
        codec.check(50)
    codec.encode(synthetic(64, 64), "a boat", "low", tmp_path / "x.tacit", 1)
    assert codec.decode(tmp_path / "x.tacit", "low", 1)[0].shape == (64, 64, 3)

    (folder / "variable.safetensors").write_bytes(tiny_weights.read_bytes())
    with pytest.raises(InvalidInput, match="fixed rate"):
        find_codec(str(folder))
    with pytest.raises(InvalidInput, match="no weights files"):
        find_codec(str(tmp_path))


def test_codecs_can_be_sent_to_other_processes(tiny_weights: Path, tmp_path: Path, program: str) -> None:
    command = _commands(tmp_path, program)["mine"]
    for codec in (*CODECS.values(), find_codec(str(tiny_weights)), command):
        assert pickle.loads(pickle.dumps(codec)).name == codec.name


# -- programs ---------------------------------------------------------------------------------------------------------


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
    assert _psnr(pixels, decoded) > 30
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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('encode = "x {input} {file} {speed}"', r"\{speed\} is not a field"),
        ('encode = "x {input}"', r"\{file\} is in none"),
        ('decode = "x {file} {output} {width}"', r"\{width\} is not a field"),
        ("decode = []", "must be a command"),
        ("qualities = []", "qualities"),
        ("qualities = [true]", "qualities"),
        ('encode = "x {input} {file} {"', "encode"),
        ('image = "bmp"', "png or ppm"),
        ("timeout = 'long'", "timeout"),
        ("speed = 3", "unknown entry speed"),
    ],
)
def test_mistakes_in_the_file_are_named_before_anything_runs(tmp_path: Path, change: str, said: str) -> None:
    lines = ['encode = "x {input} {file}"', 'decode = "x {file} {output}"', 'suffix = "x"', "qualities = [1]"]
    lines = [line for line in lines if line.split(" =")[0] != change.split(" =")[0]] + [change]
    with pytest.raises(InvalidInput, match=rf"codec\.mine.*{said}"):
        read_codec_file(_toml(tmp_path / "codecs.toml", "[codec.mine]\n" + "\n".join(lines)))


@pytest.mark.parametrize(
    ("text", "said"), [("= 1", "not TOML"), ("x = 1", "must contain tables"), ('[codec.jpeg]\nencode=""', "missing")]
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_codec_file(_toml(tmp_path / "codecs.toml", text))
    with pytest.raises(PathError):
        read_codec_file(tmp_path / "none.toml")


def test_the_documents_examples_are_files_that_can_be_read() -> None:
    path = ROOT / "docs" / "codecs.toml"
    if not path.is_file():
        pytest.skip("no documents here")
    found = read_codec_file(path)
    assert list(found) == ["bpg", "heic", "vtm", "cool-chic", "dcvc"]
    page = path.with_name("evaluation.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert block in path.read_text().replace(" # libbpg", "")
    assert all(f"`{{{name}}}`" in page for name in {*ENCODE_FIELDS, *DECODE_FIELDS})
