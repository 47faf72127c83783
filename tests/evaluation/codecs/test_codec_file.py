"""The TOML file of further codecs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.paths import ROOT
from tacit.errors import InvalidInput, PathError
from tacit.evaluation.codecs.codec_file import read_codec_file
from tacit.evaluation.codecs.program import DECODE_FIELDS, ENCODE_FIELDS


def _toml(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('encode = "x {input} {file} {speed}"', r"\{speed\} is not a field"),
        ('encode = "x {input} {file} {output}"', r"\{output\} is not a field"),
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
    assert list(found) == ["bpg", "vtm", "cool-chic", "dcvc"]
    page = path.with_name("evaluation.md").read_text()
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert block in path.read_text().replace(" # libbpg", "")
    assert all(f"`{{{name}}}`" in page for name in {*ENCODE_FIELDS, *DECODE_FIELDS})
