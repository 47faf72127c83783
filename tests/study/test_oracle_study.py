"""The oracle study, on small models and images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.study import RecordingProgress
from tacit.errors import InvalidInput
from tacit.evaluation.codecs.tacit import TacitCodec
from tacit.evaluation.pixels import load_pixels
from tacit.study import oracle_study, report
from tacit.study.caption_conditions import NO_CAPTION
from tacit.study.config import BoxMapConfig, MeasureConfig, OracleConfig
from tacit.study.run import run_study
from tacit.study.steering_study import OTHER_PHRASE, PHRASE


@pytest.fixture
def config(tiny_weights: Path, measured: Callable[..., MeasureConfig], tmp_path: Path) -> OracleConfig:
    """Of five images, one with two regions; the second half of them is unseen."""
    rows = [
        {"image": f"p{i}.png", "phrase": f"{side} part {'abcde'[i]}", "box": box, "seen": i < 3}
        for i, side, box in (*((i, "left", [0, 0, 48, 80]) for i in range(5)), (0, "right", [64, 0, 96, 80]))
    ]
    path = tmp_path / "regions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return OracleConfig(weights=str(tiny_weights), regions=(str(path),), measure=measured())


@pytest.mark.slow
def test_oracle(config: OracleConfig, progress: RecordingProgress, tmp_path: Path) -> None:
    config = dataclasses.replace(config, finders=("core", "embedded"))
    result = run_study(config, tmp_path / "out", progress, command="tacit study oracle")
    (found,) = result["sets"].values()
    assert (found["images"], found["regions"]) == (5, 6)
    pairs = {(c["test"], c["against"]) for c in found["comparisons"]}
    words = {PHRASE: OTHER_PHRASE, f"{PHRASE} by embedded": f"{OTHER_PHRASE} by embedded"}
    assert pairs == {
        *((test, NO_CAPTION) for test in ("boxes", *words, *words.values())),
        *((right, against) for right, wrong in words.items() for against in (wrong, "boxes")),
    }
    assert set(found["shares"]) == {*words, *words.values()}
    assert {c["metric"] for c in found["comparisons"]} >= {"box psnr", "rest psnr", "image psnr"}
    for c in found["comparisons"]:
        for kind in ("gain", "rate_percent"):
            assert len(c[kind]["values"]) + len(c[kind]["left_out"]) == 5  # images, not regions
    text = (tmp_path / "out" / report.MARKDOWN).read_text()
    assert "| boxes against no caption | box psnr |" in text
    # Every region of every file has a line, and nothing is measured again.
    lines = (tmp_path / "out" / oracle_study.ROWS).read_text()
    assert len(lines.splitlines()) == 6 * 6 * 3
    again = run_study(config, tmp_path / "out", progress)
    assert (tmp_path / "out" / oracle_study.ROWS).read_text() == lines
    assert again["sets"] == result["sets"]
    row = json.loads(lines.splitlines()[0])
    assert row["bytes"] > 0
    assert min(row["box psnr"], row["rest psnr"]) <= row["image psnr"] <= max(row["box psnr"], row["rest psnr"])


@pytest.mark.slow
def test_a_codec_that_keeps_the_box_gains_in_the_box_alone(
    config: OracleConfig, monkeypatch: pytest.MonkeyPatch, progress: RecordingProgress, tmp_path: Path
) -> None:
    """A pretended one: what is coded with a box comes back better there, and as it was elsewhere."""
    config = dataclasses.replace(config, words=False, maps=(BoxMapConfig(name="even", steps=0),), box_metrics=())
    regions = Path(config.regions[0])
    regions.write_text("\n".join(regions.read_text().splitlines()[:5]))  # one region in each image
    decode = TacitCodec.decode

    def better(self: TacitCodec, source: Path, quality: Any, threads: int) -> Any:
        pixels, cost = decode(self, source, quality, threads)
        steered = np.array(pixels)
        if "+even" in str(source):
            original = load_pixels(folder / f"{source.name.split('-')[0]}.png")
            steered[:, :48] = (steered[:, :48].astype(int) + original[:, :48]) // 2
        return steered, cost

    folder = Path(config.measure.sets[0].source).parent
    oracle_study.run_oracle_study(config, tmp_path / "out", progress)
    (tmp_path / "out" / oracle_study.ROWS).unlink()
    monkeypatch.setattr(TacitCodec, "decode", better)
    (found,) = oracle_study.run_oracle_study(config, tmp_path / "out", progress)
    comparisons = {c.metric: c for c in found.comparisons}
    gain, rest = comparisons["box psnr"].gain, comparisons["rest psnr"].gain
    assert gain.mean is not None
    assert rest.mean is not None
    assert gain.mean > 3
    assert abs(rest.mean) < 0.2
    assert not found.shares
    assert all((gains["even"] or 0) > 3 for gains in found.by_region.values())


def test_what_cannot_be_measured_is_said_at_once(
    config: OracleConfig, progress: RecordingProgress, tmp_path: Path
) -> None:
    rows = (tmp_path / "regions.jsonl").read_text()
    (tmp_path / "regions.jsonl").write_text(rows.replace("[64, 0, 96, 80]", "[64, 0, 97, 80]"))
    with pytest.raises(InvalidInput, match=r"p0\.png, 'right part a': a box must be a part of the image of 96x80"):
        oracle_study.run_oracle_study(config, tmp_path / "out", progress)
    (tmp_path / "regions.jsonl").write_text(rows.replace(".png", ".jpg"))
    with pytest.raises(InvalidInput, match="none of the named regions is in an image"):
        oracle_study.run_oracle_study(config, tmp_path / "out", progress)
    assert not progress.begun
