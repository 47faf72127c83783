"""The comparison of schedules of refinement."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks import refinement
from support.codec_files import Picture
from tacit.codec import Codec
from tacit.codec.refinement import SCHEDULES, Schedule


def row(image: str, quality: float, schedule: Schedule | None, size: float) -> dict[str, Any]:
    return {
        "weights": "a",
        "image": image,
        "quality": quality,
        "schedule": None if schedule is None else asdict(schedule),
        "bytes": size,
        "psnr": 20 + quality / 10,
        "ssimulacra2": quality,
        "distortion": {str(refinement.QUALITY): 10 ** (-quality / 100)},
    }


def test_what_a_schedule_saves_is_measured_at_equal_quality() -> None:
    rows = [row(name, q, None, 1000 * math.exp(q / 50)) for name in "ab" for q in refinement.CURVE]
    usual = 1000 * math.exp(refinement.QUALITY / 50)
    first, second, *_ = refinement.VARIANTS
    rows += [row(name, refinement.QUALITY, first.schedule, 0.9 * usual) for name in "abc"]  # of c there is no curve
    variants = refinement.summarise(rows)["variants"]
    assert variants[0] == {
        "difference": "none", "images": 2, "distortion": -10.0, "psnr": -10.0, "ssimulacra2": -10.0,
    }  # fmt: skip
    assert variants[1]["distortion"] is None
    assert len({variant.schedule for variant in refinement.VARIANTS}) == len(refinement.VARIANTS)
    assert len({variant.difference for variant in refinement.VARIANTS}) == len(refinement.VARIANTS)
    assert second.schedule.steps == 3


@pytest.mark.slow
def test_each_file_is_made_by_its_schedule_and_the_levels_stay(
    codec: Codec, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ssimulacra2")
    monkeypatch.setattr(refinement, "CURVE", (20, 45, 70))
    monkeypatch.setattr(refinement, "VARIANTS", [refinement.Variant("one", Schedule(steps=1))])
    monkeypatch.setattr(refinement, "SIDE", 64)
    levels = dict(SCHEDULES)
    (tmp_path / "in").mkdir()
    picture(80, 64).save(tmp_path / "in" / "a.png")
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.json"
    command = ["refinement", str(tmp_path / "in"), "--weights", str(codec.path), "--rows", str(rows), "--out", str(out)]
    monkeypatch.setattr("sys.argv", command)
    assert refinement.main() == 0
    assert json.loads(out.read_text())["variants"][0]["images"] == 1
    before = rows.read_text()
    assert refinement.main() == 0
    assert rows.read_text() == before
    assert levels == SCHEDULES
