"""Metrics of whole data sets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.evaluations import RecordingProgress, eval_options
from tacit.evaluation import measuring, set_measurements
from tacit.evaluation.evaluation import evaluate
from tacit.evaluation.metrics import load_metric


def test_metrics_of_whole_sets_are_over_the_files(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Count:
        """The mean of the decoded pixels."""

        name, unit, protocol, higher_is_better, smallest = "count", "", "mean", True, 1
        needs_caption, level = False, "set"
        calls = 0

        def __init__(self) -> None:
            self.means: list[float] = []

        def update(self, reference: np.ndarray, decoded: np.ndarray) -> None:
            assert reference.shape == decoded.shape
            self.means.append(float(decoded.mean()))

        def compute(self) -> float:
            type(self).calls += 1
            return float(np.mean(self.means))

    from tacit.evaluation import evaluation

    for place in (evaluation, measuring, set_measurements):
        monkeypatch.setattr(place, "load_metric", lambda name: Count() if name == "count" else load_metric(name))
    options = eval_options(photos, tmp_path / "out", codecs=["jpeg"], metrics=["psnr", "count"])
    found = evaluate(options, RecordingProgress())
    assert [s.metric for s in found.measurements.sets] == ["count"] * 3
    one = found.measurements.sets[0]
    files = [tmp_path / "out" / r.file for r in found.measurements.rows if r.quality == one.quality]
    assert one.value == pytest.approx(np.mean([np.asarray(Image.open(f).convert("RGB")).mean() for f in files]))
    assert found.curves["photos"]["jpeg"][0].metrics.keys() == {"psnr", "count"}
    evaluate(options, RecordingProgress())
    assert Count.calls == 3  # known from the journal

    # A file that was damaged since is said, and the rest goes on.
    (tmp_path / "out" / found.measurements.rows[0].file).write_bytes(b"no JPEG")
    progress = RecordingProgress()
    monkeypatch.setattr(Count, "protocol", "another")
    again = evaluate(dataclasses.replace(options, metrics=["psnr", "count"]), progress)
    (failure,) = again.measurements.failures
    assert (failure.codec, failure.quality) == ("jpeg", one.quality)
    assert "count: UnidentifiedImageError: " in failure.reason
    assert len(again.measurements.sets) == 2
    assert len(progress.messages) == 1
