"""What the measurement of thumbnails writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import thumbnails
from support.pictures import synthetic
from support.small_models import with_small_synthesis

pytest.importorskip("ssimulacra2", reason="the extra tacit[eval] is not installed")


@pytest.mark.slow
def test_results_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_weights: Path) -> None:
    path = with_small_synthesis(tiny_weights, tmp_path / "weights")
    Image.fromarray(synthetic(96, 64)).save(tmp_path / "a.png")
    output = tmp_path / "results" / "thumbnails.json"
    monkeypatch.setattr(thumbnails, "SIDES", (48, 12))
    monkeypatch.setattr(thumbnails, "QUALITIES", (50.0,))
    monkeypatch.setattr(thumbnails, "large", lambda *_: {"pixels": 1})
    for more in ([], ["--no-times"]):
        arguments = ["thumbnails", str(tmp_path), "--model", str(path), "--output", str(output), *more]
        monkeypatch.setattr(sys, "argv", arguments)
        assert thumbnails.main() == 0
        result = json.loads(output.read_text())
        (model,) = result["models"].values()
        assert [(point["quality"], point["side"]) for point in model["points"]] == [(50.0, 12), (50.0, 48)]
        assert all(("share" in point) == (not more) and point["psnr"] > 0 for point in model["points"])
        assert ("large" in result) == (not more)
