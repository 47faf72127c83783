"""The steering study, on small models and images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.study import RecordingProgress
from tacit.errors import InvalidInput
from tacit.evaluation.pixels import load_pixels
from tacit.study import report
from tacit.study.config import MeasureConfig, SteeringConfig
from tacit.study.run import run_study
from tacit.study.steering_study import run_steering_study


@pytest.mark.slow
def test_steering(
    tiny_weights: Path, measured: Callable[..., MeasureConfig], progress: RecordingProgress, tmp_path: Path
) -> None:
    regions = tmp_path / "regions.jsonl"
    rows = [
        {"image": f"p{i}.png", "phrase": f"{side} part {'abcde'[i]}", "box": box}
        for i, side, box in (*((i, "left", [0, 0, 48, 80]) for i in range(5)), (0, "right", [48, 0, 96, 80]))
    ]
    regions.write_text("\n".join(map(json.dumps, rows)))
    config = SteeringConfig(
        weights=str(tiny_weights), pairs=1, quads=1, width=64, height=64, regions=str(regions), measure=measured()
    )
    result = run_study(config, tmp_path / "out", progress, command="tacit study steering")
    for gains, units in ((result["mosaics"], 2), (result["regions"], 5), (result["by_layout"]["quads"], 1)):
        assert set(gains) == {"named", "rest", "contrast", "against_other"}
        for found in gains.values():
            assert len(found["values"]) + len(found["left_out"]) == units
    assert len(result["by_region"]) == 6
    for found in (result["mosaics"], result["regions"]):
        for unit, value in found["contrast"]["values"].items():
            wanted = found["named"]["values"][unit] - found["rest"]["values"][unit]
            assert value == pytest.approx(wanted, abs=1e-4)
    text = (tmp_path / "out" / report.MARKDOWN).read_text()
    assert "| p0.png | left part a |" in text
    regions.write_text("\n".join(map(json.dumps, [*rows, {"image": "p1.png", "phrase": "all", "box": [0, 0, 96, 81]}])))
    before = list(progress.begun)
    with pytest.raises(InvalidInput, match=r"p1\.png, 'all': a box must be a part of the image of 96x80 pixels"):
        run_steering_study(config, tmp_path, progress)
    assert progress.begun == before  # nothing was measured
    with pytest.raises(InvalidInput, match="leave nothing to measure"):
        run_steering_study(
            SteeringConfig(weights=str(tiny_weights), pairs=0, quads=0, regions="none", measure=measured()),
            tmp_path,
            progress,
        )


@pytest.mark.slow
def test_steering_sees_a_codec_that_steers(
    monkeypatch: pytest.MonkeyPatch,
    tiny_weights: Path,
    measured: Callable[..., MeasureConfig],
    progress: RecordingProgress,
    tmp_path: Path,
) -> None:
    """A pretended one, that keeps the named half of a pair as it is, and nothing else any better."""
    from tacit.evaluation.codecs.tacit import TacitCodec

    decode = TacitCodec.decode

    def better(self: TacitCodec, source: Path, quality: Any, threads: int) -> Any:
        pixels, cost = decode(self, source, quality, threads)
        steered = np.array(pixels)
        for name, half in halves.items():
            if source.name in files_of.get(name, ()):
                steered[half] = (steered[half].astype(int) + load_pixels(tmp_path / "mosaics/pair-01.png")[half]) // 2
        return steered, cost

    halves = {"part 1": np.s_[:, :64], "part 2": np.s_[:, 64:]}
    files_of: dict[str, set[str]] = {}
    config = SteeringConfig(
        weights=str(tiny_weights), pairs=1, quads=0, width=64, height=64, regions="none", measure=measured()
    )
    found = run_steering_study(config, tmp_path, progress)
    for row in found.conditions[0].rows:
        files_of.setdefault(row.dataset, set()).add(Path(row.file).name)
    monkeypatch.setattr(TacitCodec, "decode", better)
    gains = run_steering_study(config, tmp_path, progress).mosaics
    assert gains is not None
    assert gains.named.mean is not None
    assert gains.contrast.mean is not None
    assert gains.against_other.mean is not None
    assert gains.named.mean > 3
    assert gains.contrast.mean > 3
    assert gains.against_other.mean > 3
