"""The caption study, on small models and images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.study import WORDS, RecordingProgress
from tacit.codec import Codec
from tacit.study import report
from tacit.study.caption_conditions import NO_CAPTION
from tacit.study.caption_study import CaptionStudyResults, run_caption_study
from tacit.study.config import CaptionStudyConfig, MeasureConfig
from tacit.study.run import run_study


@pytest.mark.slow
def test_what_the_caption_does(
    tiny_weights: Path, measured: Callable[..., MeasureConfig], progress: RecordingProgress, tmp_path: Path
) -> None:
    config = CaptionStudyConfig(
        weights=str(tiny_weights),
        kinds=("short", "detailed"),
        steer=(0,),
        rotations=1,
        measure=measured("psnr", "fid", "lpips-alex"),
    )
    result = run_study(config, tmp_path, progress, command="tacit study x")
    (found,) = result["sets"].values()
    compared = {(c["told"], c["against"]): c for c in found["comparisons"]}
    assert list(compared) == [
        ("short caption", NO_CAPTION),
        ("detailed caption", NO_CAPTION),
        ("another's short caption", NO_CAPTION),
        ("another's detailed caption", NO_CAPTION),
        ("short caption", "another's short caption"),
        ("detailed caption", "another's detailed caption"),
        ("detailed caption", "short caption"),
    ]
    for comparison in compared.values():
        assert len(comparison["values"]) + len(comparison["left_out"]) == 6
        assert any(value != 0 for value in comparison["values"].values())  # these weights read
    assert set(result["skipped"]) >= {"fid"}
    assert progress.begun == [(6 * 3, 0), (4 * 6 * 3, 0)]
    assert json.loads((tmp_path / report.JSON).read_text()) == result
    text = (tmp_path / report.MARKDOWN).read_text()
    assert "another's detailed caption" in text
    assert "Left out: " in text
    assert str(Path.home()) not in json.dumps(result["skipped"])
    assert "tacit study x" in text
    assert (tmp_path / "plots" / "list.svg").read_text().count("</svg>") == 1
    # again: nothing is encoded twice, and the same is found
    again = run_study(config, tmp_path, progress)
    assert progress.begun[2:] == [(6 * 3, 6 * 3), (4 * 6 * 3, 4 * 6 * 3)]
    assert again["sets"] == result["sets"]


@pytest.mark.slow
def test_the_encoder_is_told_what_the_condition_says(
    tiny_weights: Path,
    measured: Callable[..., MeasureConfig],
    progress: RecordingProgress,
    tmp_path: Path,
    image_folder: Path,
) -> None:
    config = CaptionStudyConfig(
        weights=str(tiny_weights), kinds=("short",), steer=(0, 60), rotations=1, measure=measured()
    )
    (study,) = run_caption_study(config, tmp_path, progress)
    assert isinstance(study, CaptionStudyResults)
    told = {
        NO_CAPTION: (None, 0),
        "short caption": (WORDS[0], 0),
        "another's short caption, 3 on": (WORDS[3], 0),
        "short caption, steering 60": (WORDS[0], 60),
        "another's short caption, steering 60, 3 on": (WORDS[3], 60),
    }
    pairs = [(c.test, c.anchor) for c in study.comparisons]
    assert ("short caption, steering 60", "another's short caption, steering 60") in pairs
    assert all(len(c.rate_percent.values) + len(c.rate_percent.left_out) == 6 for c in study.comparisons)
    rows = {row.dataset: row for row in study.conditions.rows if row.image == "p0.png" and row.quality == 80}
    assert set(rows) == set(told)
    for condition, (caption, steer) in told.items():
        wanted = Codec(tiny_weights, precision="fp32", steer=steer).encode(image_folder / "p0.png", caption, 80)
        assert (study.conditions.folder / rows[condition].file).read_bytes() == wanted
