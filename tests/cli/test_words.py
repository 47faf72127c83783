"""`tacit weigh`, `tacit word-table` and `tacit encode --word-weights`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tacit.cli import main
from tacit.words import Weigher

CAPTION = "a spaniel at the Eiffel Tower"


@pytest.fixture(autouse=True)
def _by_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_NAMES", "rules")
    monkeypatch.delenv("TACIT_WORD_TABLE", raising=False)


@pytest.fixture(scope="module")
def weigher() -> Weigher:
    return Weigher("rules")


def test_weigh(capsys: pytest.CaptureFixture[str], weigher: Weigher) -> None:
    assert main(["weigh", CAPTION, "a dog"]) == 0
    first, second = capsys.readouterr().out.rstrip("\n").split("\n\n")
    rows = [line.split(maxsplit=2) for line in first.splitlines()]
    assert [r[0] for r in rows] == CAPTION.split()
    assert [float(r[1]) for r in rows] == [round(w.weight, 2) for w in weigher(CAPTION)]
    assert rows[-1][2] == "name (capitals)"
    assert len(second.splitlines()) == 2


def test_weigh_as_json(capsys: pytest.CaptureFixture[str], weigher: Weigher) -> None:
    assert main(["weigh", "--json", "--names", "rules", CAPTION, ""]) == 0
    found, empty = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert found["caption"] == CAPTION
    assert found["names"] == "rules"
    assert found["words"][0] == {"text": "a", "start": 0, "end": 1, "weight": 1.0, "reason": "function word"}
    assert [w["weight"] for w in found["words"]] == [w.weight for w in weigher(CAPTION)]
    assert empty["words"] == []


def test_weigh_reads_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a dog\n\n\xff bad in Oslo\n")))
    assert main(["weigh", "--json", "-"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(("options", "said"), [(["--names", "nope"], "nope"), (["--table", "none"], "none")])
def test_weigh_with_what_is_not_there(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weigh", *options, "a dog"]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert said in message


def test_word_table(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason="the extra tacit[words] is not installed")
    corpus, out = tmp_path / "captions.txt", tmp_path / "mine.tsv.gz"
    corpus.write_text("a dog on the beach\n" * 3 + "a dog in Oslo\na dog in a boat\nthe dog\n")
    assert main(["word-table", str(corpus), "-o", str(out)]) == 0
    assert "6 captions" in capsys.readouterr().out
    assert main(["word-table", str(corpus), "-o", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["word-table", str(corpus), "-o", str(out), "-f"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("TACIT_WORD_TABLE", str(out))
    assert main(["weigh", "--json", "a dog in a zoo"]) == 0
    by = {w["text"]: w for w in json.loads(capsys.readouterr().out)["words"]}
    assert by["zoo"]["reason"] == "unknown noun"
    assert by["dog"]["weight"] < by["zoo"]["weight"]


def test_encode_with_word_weights(
    tmp_path: Path, tiny_weights: Path, picture: Callable[..., Image.Image], capsys: pytest.CaptureFixture[str]
) -> None:
    picture(96, 64).save(tmp_path / "photo.png")
    made: list[bytes] = []
    for options in ([], ["--word-weights"]):
        out = tmp_path / f"{len(made)}.tacit"
        given = ["encode", str(tmp_path / "photo.png"), "-o", str(out), "-c", CAPTION, "-m", str(tiny_weights)]
        assert main([*given, *options]) == 0
        made.append(out.read_bytes())
    assert made[0] != made[1]
    assert main(["decode", str(tmp_path / "1.tacit"), "-m", str(tiny_weights)]) == 0
    capsys.readouterr()
