"""Weights are found by name and described without torch."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tacit
from tacit import cli, weights
from tacit.codec import Codec
from tacit.errors import MissingWeights, PathError, TacitError, UnknownModel
from tacit.weights import catalogue
from tacit.weights.catalogue import shipped_path

SHIPPED = tuple(weights.SHIPPED)


def test_names_paths_and_the_folder(tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    assert weights.available_models() == SHIPPED
    shutil.copy(tiny_weights, tmp_path / "mine.safetensors")
    shutil.copy(tiny_weights, tmp_path / "tacit-s.safetensors")  # a shipped name means the shipped file
    (tmp_path / "notes.txt").write_text("")
    assert weights.available_models() == (*SHIPPED, "mine")
    assert weights.locate("mine") == tmp_path / "mine.safetensors"
    assert weights.locate("tacit-s") == shipped_path("tacit-s")
    assert weights.locate(tiny_weights) == tiny_weights
    assert weights.locate(str(tiny_weights)) == tiny_weights
    assert Codec("mine").path == tmp_path / "mine.safetensors"


def test_names_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path / "not there"))
    message = "model must be one of tacit-s, tacit-s-mse, or a weights file, got 'tacit-xl'"
    with pytest.raises(UnknownModel, match=message):
        weights.locate("tacit-xl")
    with pytest.raises(PathError, match=r"none\.safetensors: no such weights file"):
        weights.locate(tmp_path / "none.safetensors")
    with pytest.raises(TacitError):
        weights.locate("a\0b")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(PathError, match="no such weights file"):
        Codec(tmp_path / "folder.safetensors")
    with pytest.raises(PathError):
        weights.describe(tmp_path / "none")
    with pytest.raises(PathError):
        weights.load(tmp_path)


@pytest.mark.parametrize("folder", [True, False])
def test_an_incomplete_package(
    folder: bool,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path / "weights")
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    shutil.copy(tiny_weights, tmp_path / "own" / "mine.safetensors")
    if folder:
        (tmp_path / "weights").mkdir()
    with pytest.raises(MissingWeights, match=r"lacks the weights of tacit-s; reinstall it.*--model") as caught:
        Codec()
    assert pickle.loads(pickle.dumps(caught.value)).for_clients == "the weights of tacit-s are not here"
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "a.tacit").write_bytes(b"")
    for arguments in (["encode", "a.png"], ["decode", "a.tacit"]):
        assert cli.main([arguments[0], str(tmp_path / arguments[1])]) == 1
        said = capsys.readouterr()
        assert re.fullmatch(r"tacit: .* this installation of tacit lacks .*reinstall it.*\n", said.err)
    assert cli.main(["models"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("mine\n")
    lines = [rf"tacit: .*/{name}\.safetensors: this installation .*\n" for name in SHIPPED]
    assert re.fullmatch("".join(lines), said.err)
    assert Codec("mine").path.stem == "mine"


def test_what_a_file_says(tiny_weights: Path, tiny_taco_fixed_weights: Path) -> None:
    about = weights.describe(tiny_weights)
    assert (about.name, about.architecture, about.variable_rate) == ("tiny", "tacit-s", True)
    assert about.size == tiny_weights.stat().st_size
    assert len(about.decode_hash) == 8
    assert dict(weights.card(tiny_weights)) == {"name": "tiny"}
    assert weights.describe(tiny_taco_fixed_weights).variable_rate is False


def test_a_changed_file_is_described_anew(tiny_weights: Path, tiny_taco_weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    shutil.copy(tiny_weights, path)
    assert weights.describe(path).architecture == "tacit-s"
    shutil.copy(tiny_taco_weights, path)
    assert weights.describe(path).architecture == "taco"


def test_the_shipped_file_is_the_one_in_the_code() -> None:
    for name, digest in weights.SHIPPED.items():
        data = shipped_path(name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
        assert len(data) <= 25_000_000


def test_listing_needs_no_torch(tiny_weights: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tacit import weights\n"
        f"weights.describe(Path({str(tiny_weights)!r})), weights.available_models(), weights.card()\n"
        "assert not {'torch', 'numpy', 'safetensors'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_models_lists_damage_and_goes_on(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tacit import cli

    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    (tmp_path / "bad.safetensors").write_bytes(b"rubbish")
    shutil.copy(tiny_weights, tmp_path / "good.safetensors")
    assert cli.main(["models"]) == 1
    said = capsys.readouterr()
    assert said.err == f"tacit: {tmp_path / 'bad.safetensors'}: not a safetensors file\n"
    assert "good\n  path" in said.out
    assert "tacit-s\n  path" in said.out
    assert cli.main(["models", "--json"]) == 1
    names = [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]
    assert names == [*SHIPPED, "good"]
    assert tacit.available_models() == (*SHIPPED, "bad", "good")


def test_taco_without_a_file_says_where_one_comes_from() -> None:
    with pytest.raises(MissingWeights, match="import-taco"):
        weights.locate("taco")
