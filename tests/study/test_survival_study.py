"""The survival study, on small models and images, with judges that need no network."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.study import RecordingProgress
from tacit.errors import InvalidInput, MissingWeights
from tacit.evaluation.datasets import Dataset
from tacit.study import report, survival_study
from tacit.study.caption_conditions import NO_CAPTION
from tacit.study.config import MeasureConfig, SurvivalConfig
from tacit.study.named_regions import NamedRegion
from tacit.study.run import run_study
from tacit.study.steering_study import OTHER_PHRASE, PHRASE


class Closeness:
    """Says how near the box comes to the original; of the first image it knows nothing."""

    name = "reading"
    measures: Mapping[str, str] = {"near": "1 less the mean error"}

    def reference(self, original: np.ndarray, region: NamedRegion) -> list[int] | None:
        left, top, right, bottom = region.box
        return None if region.image == "p0.png" else original[top:bottom, left:right].ravel().tolist()

    def __call__(self, decoded: np.ndarray, region: NamedRegion, reference: list[int]) -> Mapping[str, float]:
        left, top, right, bottom = region.box
        error = np.abs(decoded[top:bottom, left:right].ravel() - np.array(reference, float)).mean()
        return {"near": float(1 - error / 255)}


class Absent(Closeness):
    """Has no weights."""

    measures: Mapping[str, str] = {"absent": "nothing"}

    def __init__(self) -> None:
        raise MissingWeights("the detector is not there")


@pytest.fixture
def config(
    tiny_weights: Path, measured: Callable[..., MeasureConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SurvivalConfig:
    """Of five images, one with two regions; one rate can be reached, and one cannot."""
    rows = [
        {"image": f"p{i}.png", "phrase": f"the red boat {side}", "box": box, "seen": i < 3}
        for i, side, box in (*((i, f"{i}", [0, 0, 48, 80]) for i in range(5)), (1, "right", [64, 0, 96, 80]))
    ]
    path = tmp_path / "regions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr(survival_study, "JUDGES", {"reading": Closeness, "detection": Absent})
    return SurvivalConfig(
        weights=str(tiny_weights),
        regions=(str(path),),
        rates=(8, 0.001),
        judges=("reading", "detection"),
        measure=measured(),
    )


@pytest.mark.slow
def test_files_of_equal_size_are_judged(config: SurvivalConfig, progress: RecordingProgress, tmp_path: Path) -> None:
    result = run_study(config, tmp_path / "out", progress, command="tacit study survive")
    (found,) = result["sets"].values()
    assert (found["images"], found["regions"]) == (5, 6)
    assert found["unreached"] == {"8": 0, "0.001": 6}
    assert result["skipped"] == {"detection": "the detector is not there"}
    assert {s["rate"] for s in found["survivals"]} == {8, None}
    for s in found["survivals"]:
        assert s["things"] == 5  # not that of the image of which the judge knows nothing
        assert set(s["means"]) == {NO_CAPTION, PHRASE, OTHER_PHRASE, "boxes"}
        pairs = {(d["test"], d["against"]): d for d in s["differences"]}
        assert set(pairs) == {
            *((test, NO_CAPTION) for test in ("boxes", PHRASE, OTHER_PHRASE)), (PHRASE, OTHER_PHRASE)
        }  # fmt: skip
        for (test, anchor), d in pairs.items():
            assert set(d["values"]) == {f"p{i}.png" for i in range(1, 5)}  # images, not regions
            assert d["mean"] == pytest.approx(s["means"][test] - s["means"][anchor], abs=1e-5)
    sizes = found["bytes"]["8"]
    assert max(sizes.values()) <= 96 * 80
    text = (tmp_path / "out" / report.MARKDOWN).read_text()
    assert "| near | 8 | 5 in 4 |" in text
    assert "| near | all |" not in text  # where there is one rate
    assert "Left out, because the lowest quality takes more: 6 at 0.001 bpp." in text
    assert "- near: 1 less the mean error" in text
    # An image at a rate has a line, and nothing is done again.
    lines = (tmp_path / "out" / survival_study.JOURNAL).read_text()
    assert len(lines.splitlines()) == 5 * 2
    again = run_study(config, tmp_path / "out", progress)
    assert (tmp_path / "out" / survival_study.JOURNAL).read_text() == lines
    assert again["sets"] == result["sets"]
    assert progress.begun == [(10, 0), (10, 10)]
    # Another strength is another measurement.
    run_study(dataclasses.replace(config, steer=40, rates=(8,)), tmp_path / "out", progress)
    assert progress.begun[-1] == (5, 0)


def test_what_cannot_be_used_is_said_at_once(
    config: SurvivalConfig, progress: RecordingProgress, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="none of the judges can be used"):
        run_study(dataclasses.replace(config, judges=("detection",)), tmp_path / "out", progress)
    for values, message in (
        ({"rates": (0.1, -1)}, "rates must be above 0, got 0.1, -1"),
        ({"judges": ("nobody",)}, "judges must be of reading, detection, recognition, got nobody"),
        ({"images": "some"}, "images must be all, seen or unseen, got 'some'"),
    ):
        with pytest.raises(InvalidInput, match=message):
            dataclasses.replace(config, **values)


def test_bytes_saved_by_a_rate_that_only_some_reach_are_not_compared(config: SurvivalConfig) -> None:
    """A thing counts at a rate only where all four files have it."""

    def files(**values: Any) -> dict[str, Any]:
        names = {"none": NO_CAPTION, "other": OTHER_PHRASE, "phrase": PHRASE, "boxes": "boxes"}
        return {names[key]: value and {"bytes": 100, "near": value} for key, value in values.items()}

    rows = [
        {"named": "a", "box": [0, 0, 8, 8], "files": files(none=0.5, other=0.5, phrase=0.75, boxes=1.0)},
        {"named": "b", "box": [0, 0, 8, 9], "files": files(none=1.0, other=1.0, phrase=None, boxes=1.0)},
    ]
    entries = [{"key": "1", "image": "p1.png", "rate": 8, "regions": rows}]
    dataset = Dataset("set", ())
    results = survival_study._results(config, dataset, [], entries, {"near": ""})
    assert results.unreached[8] == 1
    by_rate, overall = results.survivals
    assert by_rate.things == overall.things == 1
    assert by_rate.means == {NO_CAPTION: 0.5, OTHER_PHRASE: 0.5, PHRASE: 0.75, "boxes": 1.0}
    assert by_rate.differences[PHRASE, NO_CAPTION].mean == 0.25
