"""What changed between two evaluations, and whether it is noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from tacit.errors import InvalidInput
from tacit.evaluation.comparison import Change, ResultsComparison, compare
from tacit.evaluation.comparison_report import comparison_markdown
from tacit.evaluation.cost import Cost
from tacit.evaluation.measurements import Measurement, Measurements, SetMeasurement
from tacit.evaluation.results import DatasetInfo, ImageInfo, MetricInfo, Results

IMAGES = 12


def made(
    change: Callable[[Measurement, np.random.Generator], Measurement] = lambda row, _: row, seed: int = 0
) -> Results:
    """One codec over images that differ a lot, at four qualities."""
    rng = np.random.default_rng(5)
    noise = np.random.default_rng(seed)
    rows = []
    for n in range(IMAGES):
        hard = rng.uniform(-4, 4)
        for i in range(4):
            row = Measurement(
                dataset="set",
                image=f"{n}.png",
                codec="mine",
                quality=25 * i,
                width=200,
                height=100,
                bytes=round(5000 * 2**i * 1.05**hard),
                file=f"{n}-{i}",
                encode=Cost(0.5 + 0.1 * i, None),
                decode=Cost(0.3, None),
                metrics={"psnr": 28 + 3.0 * i - hard, "error": 9.0 - 2 * i + hard / 10},
                notes={},
            )
            rows.append(change(row, noise))
    images = tuple(ImageInfo(f"{n}.png", f"hash{n}", f"image {n}") for n in range(IMAGES))
    set_value = SetMeasurement(dataset="set", codec="mine", quality=50, metric="fid", value=20.0)
    return Results(
        command="tacit eval",
        date="2026-01-01",
        seconds=1.0,
        machine={"cores": 2},
        libraries={"torch": "2.13"},
        datasets=(DatasetInfo("set", images, ()),),
        codecs={"mine": {"weights": {"all": {"sha256": "aa"}}}},
        metrics=(MetricInfo("psnr", "dB", True, "mse"), MetricInfo("error", "", False, "mae")),
        skipped={},
        anchor="mine",
        measurements=Measurements(tuple(rows), (set_value,), ()),
    )


def _changed(**metrics: float) -> Callable[[Measurement, np.random.Generator], Measurement]:
    def change(row: Measurement, noise: np.random.Generator) -> Measurement:
        values = {k: v + metrics.get(k, 0) + noise.normal(0, 0.1) for k, v in row.metrics.items() if v is not None}
        return dataclasses.replace(row, metrics=values)

    return change


def _one(found: ResultsComparison, what: str, quality: float | None = None) -> Change:
    (change,) = [c for c in found.changes if c.figure == what and c.quality == quality]
    return change


def test_the_same_is_the_same() -> None:
    found = compare(made(), made())
    assert {c.verdict for c in found.changes} == {"same"}
    assert found.notes == ()
    assert "12 of 12 figures by quality are the same on every image." in comparison_markdown(found)


def test_a_small_shift_of_all_images_shows() -> None:
    # The images' own values spread over 8 dB; a shift of 0.15 dB shows since they are paired.
    found = compare(made(), made(_changed(psnr=0.15, error=0.2), seed=1))
    for quality in (0, 25, 50, 75):
        gain = _one(found, "psnr", quality)
        assert gain.verdict == "better"
        assert gain.low is not None
        assert gain.high is not None
        assert gain.low < 0.15 < gain.high
        assert _one(found, "error", quality).verdict == "worse"
        assert _one(found, "bpp", quality).verdict == "same"
    assert _one(found, "bits for equal psnr (%)").verdict == "better"
    assert _one(found, "bits for equal psnr (%)").mean == pytest.approx(100 * (2 ** (-0.15 / 3) - 1), abs=0.8)
    assert _one(found, "bits for equal error (%)").verdict == "worse"


def test_noise_is_taken_for_a_change_about_once_in_twenty() -> None:
    found = [compare(made(), made(_changed(), seed=seed)) for seed in range(60)]
    for what, quality in (("psnr", 50), ("error", 0), ("bits for equal psnr (%)", None)):
        verdicts = [_one(one, what, quality).verdict for one in found]
        assert set(verdicts) <= {"noise", "better", "worse"}
        assert 50 <= verdicts.count("noise") < 60
    assert "| noise |" in comparison_markdown(found[0])


def test_times_are_ratios() -> None:
    slower = made(lambda row, _: dataclasses.replace(row, encode=Cost(1.2 * row.encode.seconds, None)))
    found = compare(made(), slower)
    assert _one(found, "encode time (%)").mean == pytest.approx(20)
    assert _one(found, "encode time (%)").verdict == "worse"
    assert _one(found, "decode time (%)").verdict == "same"


def test_few_images_are_too_few_to_say() -> None:
    def first(results: Results) -> Results:
        rows = tuple(r for r in results.measurements.rows if r.image in ("0.png", "1.png"))
        return dataclasses.replace(results, measurements=Measurements(rows, (), ()))

    found = compare(first(made()), first(made(_changed(psnr=3.0))))
    assert _one(found, "psnr", 50).verdict == "unclear"
    assert _one(found, "psnr", 50).images == 2


def test_metrics_of_whole_sets_have_no_interval() -> None:
    old, new = made(), made()
    infos = (*old.metrics, MetricInfo("fid", "", False, "2048"))
    old, new = (dataclasses.replace(r, metrics=infos) for r in (old, new))
    assert _one(compare(old, new), "fid", 50).verdict == "same"
    new = dataclasses.replace(
        new,
        measurements=dataclasses.replace(
            new.measurements, sets=(SetMeasurement(dataset="set", codec="mine", quality=50, metric="fid", value=9.0),)
        ),
    )
    change = _one(compare(old, new), "fid", 50)
    assert (change.verdict, change.mean) == ("unclear", -11.0)


def test_images_are_paired_by_their_files_whatever_their_names() -> None:
    new = made()
    (dataset,) = new.datasets
    renamed = tuple(dataclasses.replace(i, name=f"new-{i.name}") for i in dataset.images)
    new = dataclasses.replace(
        new,
        datasets=(dataclasses.replace(dataset, images=renamed),),
        measurements=dataclasses.replace(
            new.measurements, rows=tuple(dataclasses.replace(r, image=f"new-{r.image}") for r in new.measurements.rows)
        ),
    )
    assert {c.verdict for c in compare(made(), new).changes} == {"same"}
    swapped = tuple(dataclasses.replace(i, sha256=f"other{i.sha256}") for i in renamed)
    new = dataclasses.replace(new, datasets=(dataclasses.replace(dataset, images=swapped),))
    with pytest.raises(InvalidInput, match="no image, codec and quality in common"):
        compare(made(), new)


def test_what_else_is_different_is_said() -> None:
    new = dataclasses.replace(
        made(),
        machine={"cores": 8},
        libraries={"torch": "2.14"},
        codecs={"mine": {"weights": {"all": {"sha256": "bb"}}}, "jpeg": {}},
        metrics=(MetricInfo("psnr", "dB", True, "another mse"), MetricInfo("error", "", False, "mae")),
    )
    found = compare(made(), new)
    for note in (
        "machine: cores was 2, is 8",
        "libraries: torch was 2.13, is 2.14",
        "mine: weights all sha256 was aa, is bb",
        "codec jpeg: in the new results only",
        "psnr is not compared: mse; now another mse",
    ):
        assert note in found.notes
        assert f"- {note}" in comparison_markdown(found)
    assert not [c for c in found.changes if c.figure == "psnr"]
    assert _one(found, "error", 50).verdict == "same"
