"""What is measured of speed, and how results of several machines stand beside each other."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import speed
from scripts import readme
from support.pictures import synthetic
from tacit import machine


@pytest.mark.parametrize(
    ("instructions", "kind"),
    [
        (("avx2", "fma"), "avx2"),
        (("avx2", "fma", "avx512f"), "avx512"),
        (("avx2", "avx512f", "avx512_bf16", "amx_bf16"), "avx512-bf16"),
        (("asimd",), "other"),
        ((), "other"),
    ],
)
def test_a_processor_has_a_kind(instructions: tuple[str, ...], kind: str) -> None:
    assert speed.processor_kind(instructions) == kind
    assert kind in speed.KINDS


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `speed` writes where all measures are already there."""
    measures = {name: 100.0 + number for number, name in enumerate(speed.MEASURES)}
    monkeypatch.setattr(speed, "measure", lambda *_, **__: measures)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)
    path = tmp_path / "results" / "speed.json"
    monkeypatch.setattr(sys, "argv", ["speed", "--output", str(path)])
    return path


def test_each_kind_of_processor_keeps_its_results(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for instructions in (("avx2", "avx512f", "avx512_bf16"), ("avx2",), ("avx2",)):
        monkeypatch.setattr(machine, "instruction_sets", lambda found=instructions: found)
        speed.main()
    assert "limit  300" in capsys.readouterr().out
    results = json.loads(output.read_text())
    assert list(results) == ["avx2", "avx512-bf16"]
    assert results["avx2"]["measures"].keys() == speed.MEASURES.keys()


def test_the_table_says_where_nothing_was_measured(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "instruction_sets", lambda: ("avx2",))
    speed.main()
    capsys.readouterr()
    monkeypatch.setattr(readme, "RESULTS", output.parent)
    table = readme.speed()
    assert "| decode to a Pillow image (onnx) | 110 ms | not measured | 205 ms |" in table
    assert "AVX-512 with bf16: not measured" in table


def test_a_missed_limit_is_marked() -> None:
    described: dict[str, Any] = {"processor": "P", "instructions": "avx2", "cores": 4}
    result = {"machine": described, "load_average": 0.1, "measures": {"onnx_decode": 206.0, "import": 0.1}}
    lines = speed.report(result, "avx2").splitlines()
    assert "MISSED" in lines[1]
    assert "MISSED" not in lines[2]


@pytest.mark.slow
def test_an_engine_is_measured(tmp_path: Path) -> None:
    from PIL import Image

    found = speed.engine_times("onnx", Image.fromarray(synthetic(64, 48, seed=1)), 1)
    assert found.keys() == speed.ENGINE_MEASURES.keys()
    assert all(value > 0 for value in found.values())
