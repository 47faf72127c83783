"""The benchmark of promises: what it counts, and that a run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import keep
from support.codec_files import Picture
from tacit.codec import Codec
from tacit.evaluation.journal import Journal
from tacit.study.named_regions import NamedRegion


def row(**changes: Any) -> dict[str, Any]:
    kept = {"outcome": "kept", "least": 30.0, "reached": [31.0, 30.1], "part": 0.05, "bytes": 500, "anchor_bytes": 1000}
    elsewhere = {"fp32": [31.0, 30.1], "bf16": [31.0, 29.9]}
    case = {"place": "box", "measure": "psnr", "target": "quality"}
    return {"weights": "aa", "set": "kodak", "image": "a.png", **case, **kept, "elsewhere": elsewhere, **changes}


def test_promises_are_counted() -> None:
    rows = [
        row(weights="bb"),
        row(),
        row(image="b.png", part=0.5, bytes=2000, elsewhere={"fp32": [30.0], "bf16": [30.0]}),
        {**row(), "outcome": "not found"},
        row(place="phrase"),
    ]
    box, phrase = keep.summarise(rows)
    assert (box["set"], box["place"], phrase["place"], phrase["files"]) == ("kodak", "box", "phrase", 1)
    assert box["outcomes"] == {"kept": 2, "not found": 1, "not reached": 0, "too small": 0, "too low": 0}
    assert box["broken"] == {"here": 0, "fp32": 0, "bf16": 1}
    assert box["all"] == {"percent": 0.0, "interval": None, "files": 2}
    assert box["small"] == {"percent": -50.0, "interval": None, "files": 1}


@pytest.mark.slow
def test_an_interrupted_run_continues(
    tiny_weights: Path, codec: Codec, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "CASES", keep.CASES[:1])
    picture(150, 140).save(tmp_path / "a.png")
    region = NamedRegion("a.png", "the dot", (70, 66, 120, 118))
    with Journal(tmp_path / "rows.jsonl") as journal:
        bench = keep.Bench(str(tiny_weights), journal, 1)
        bench.measure("kodak", tmp_path, region)
        (measured,) = journal.entries.values()
        assert measured["outcome"] == "kept"
        assert min(*measured["elsewhere"]["fp32"], *measured["elsewhere"]["bf16"]) >= measured["least"]
        assert measured["bytes"] < measured["anchor_bytes"]
        assert measured["part"] == 50 * 52 / (150 * 140)
        bench.measure("kodak", tmp_path, region)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 1
    keep.write_summary([measured], tmp_path / "keep.json")
    assert '"command": "python -m benchmarks.keep"' in (tmp_path / "keep.json").read_text()
