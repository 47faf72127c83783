"""What the measurement of beginnings writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import progressive
from support.pictures import synthetic


@pytest.mark.slow
def test_results_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_weights: Path) -> None:
    output = tmp_path / "results" / "progressive.json"
    Image.fromarray(synthetic(96, 64)).save(tmp_path / "a.png")
    arguments = ["progressive", str(tmp_path), "--model", str(tiny_weights), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert progressive.main() == 0
    result = json.loads(output.read_text())
    assert result["images"] == 1
    assert 0 <= result["bytes"] - result["plain_bytes"] <= 5
    found = [point["psnr"] for point in result["points"]]
    assert found[0] < found[-1]
    assert result["points"][-1]["share"] == 1
