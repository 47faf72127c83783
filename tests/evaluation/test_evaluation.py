"""Evaluations from images to reports: what is measured, kept and reported."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.evaluations import RecordingProgress, check_html, eval_options
from support.pictures import synthetic
from tacit.errors import InvalidInput
from tacit.evaluation import measuring, results_file
from tacit.evaluation.codecs.pillow import PillowCodec
from tacit.evaluation.evaluation import evaluate
from tacit.evaluation.metrics import load_metric


@pytest.mark.slow
def test_from_images_to_reports(photos: Path, tiny_weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    progress = RecordingProgress()
    found = evaluate(
        eval_options(
            photos,
            tmp_path / "out",
            codecs=["jpeg", str(tiny_weights), f"{tiny_weights}+captions"],
            metrics=["psnr", "ms-ssim", "psnr-authors", "bpp-authors"],
            precision="fp32",
            crops=2,
            command="tacit eval photos",
        ),
        progress,
    )
    out = tmp_path / "out"
    assert (
        "photos tiny+captions: 1 images have no caption (b.png); they are left out for this codec" in progress.messages
    )
    # Every figure is that of the file.
    for row in found.measurements.rows:
        file = out / row.file
        assert row.bytes == file.stat().st_size
        assert row.bpp == 8 * row.bytes / (row.width * row.height)
        if row.codec == "jpeg":
            original = np.asarray(Image.open(photos / row.image)).astype(float)
            mse = np.square(original - np.asarray(Image.open(file).convert("RGB"))).mean()
            assert row.metrics["psnr"] == pytest.approx(10 * np.log10(255**2 / mse))
            assert row.metrics["bpp-authors"] is None
            assert row.notes["bpp-authors"] == "only for tacit's models"
        else:
            assert row.metrics["bpp-authors"] is not None
            assert row.metrics["bpp-authors"] < row.bpp
            assert row.metrics["psnr-authors"] == pytest.approx(row.metrics["psnr"], abs=0.6)
    # b.png has no caption, so no curve is over it; tiny.png is too small for one metric, and the others go on.
    assert found.images == {"photos": ("a.png", "tiny.png")}
    assert found.left_out("photos") == ("b.png",)
    curves = found.curves["photos"]
    assert {name: len(points) for name, points in curves.items()} == {"jpeg": 3, "tiny": 3, "tiny+captions": 3}
    assert all("psnr" in p.metrics and "ms-ssim" not in p.metrics for points in curves.values() for p in points)
    assert [row.notes["ms-ssim"] for row in found.measurements.rows if row.image == "tiny.png"] == [
        "ms-ssim needs 161 pixels a side or more, got 24x20"
    ] * 9
    point = curves["jpeg"][0]
    rows = [
        r for r in found.measurements.rows if (r.codec, r.quality) == ("jpeg", point.quality) and r.image != "b.png"
    ]
    assert point.bpp == pytest.approx(sum(r.bpp for r in rows) / 2)

    content = json.loads((out / "results.json").read_text())
    assert content["command"] == "tacit eval photos"
    assert content["machine"]["cores"] >= 1
    assert content["libraries"]["torch"]
    assert len(content["codecs"]["tiny"]["weights"]["all"]["sha256"]) == 64
    assert results_file.load(out / "results.json").curves.keys() == found.curves.keys()

    page = (out / "report.html").read_text()
    check_html(page)
    for word in ("tiny+captions", "b.png", "needs 161 pixels", "a dot", "tacit eval photos", "Bjøntegaard"):
        assert word in page, word
    text = (out / "report.md").read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (out / target).is_file(), target
    assert "| tiny | " in text


def test_weights_of_fixed_rate_are_points_of_one_curve(
    photos: Path, tiny_taco_fixed_weights: Path, tmp_path: Path
) -> None:
    for name in ("high", "low"):
        (tmp_path / "taco").mkdir(exist_ok=True)
        (tmp_path / "taco" / f"{name}.safetensors").write_bytes(tiny_taco_fixed_weights.read_bytes())
    options = eval_options(photos, tmp_path / "out", codecs=[f"{tmp_path / 'taco'}", "jpeg"], crops=1, limit=1)
    found = evaluate(options, RecordingProgress())
    assert {row.quality for row in found.measurements.rows if row.codec == "taco"} == {"high", "low"}
    assert "different rates" in str(found.differences) or "three" in str(found.differences)
    again = results_file.load(tmp_path / "out" / "results.json")
    assert again.measurements == found.measurements
    page = (tmp_path / "out" / "report.html").read_text()
    check_html(page)
    assert "quality low" in page or "quality high" in page


@pytest.mark.slow
def test_a_second_run_goes_on_from_the_first(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = eval_options(photos, tmp_path / "out")
    first = evaluate(options, RecordingProgress())
    calls: list[str] = []

    def counted(name: str) -> Any:
        original = getattr(PillowCodec, name)

        def call(*arguments: Any) -> Any:
            calls.append(name)
            return original(*arguments)

        return call

    for name in ("encode", "decode"):
        monkeypatch.setattr(PillowCodec, name, counted(name))

    progress = RecordingProgress()
    second = evaluate(options, progress)
    assert (progress.total, progress.known, progress.measured) == (18, 18, 0)
    assert calls == []
    assert second.measurements == first.measurements

    # Another metric takes the files that are there.
    third = evaluate(dataclasses.replace(options, metrics=["psnr", "psnr-y"]), RecordingProgress())
    assert calls == ["decode"] * 18
    assert [r.encode for r in third.measurements.rows] == [r.encode for r in first.measurements.rows]
    assert all(r.metrics["psnr-y"] for r in third.measurements.rows)

    # A file that has gone is made again; a changed image is another image.
    calls.clear()
    row = third.measurements.rows[0]
    (tmp_path / "out" / row.file).unlink()
    evaluate(options, RecordingProgress())
    assert calls == ["encode", "decode"]
    calls.clear()
    Image.fromarray(synthetic(24, 20, 99)).save(photos / "tiny.png")
    evaluate(options, RecordingProgress())
    assert calls == ["encode", "decode"] * 6
    calls.clear()
    evaluate(dataclasses.replace(options, fresh=True), RecordingProgress())
    assert calls == ["encode", "decode"] * 18


def test_equal_images_are_measured_apart_and_captions_count_where_they_are_compared_with(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Length:
        """How long the caption is."""

        name, unit, protocol, higher_is_better, smallest = "length", "", "characters", True, 1
        needs_caption, level = True, "image"

        def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
            if caption is None:
                raise InvalidInput("no caption")
            return float(len(caption))

    from tacit.evaluation import evaluation

    measuring._metric.cache_clear()
    for place in (evaluation, measuring):
        monkeypatch.setattr(place, "load_metric", lambda name: Length() if name == "length" else load_metric(name))
    (photos / "copy.png").write_bytes((photos / "a.png").read_bytes())
    options = eval_options(photos, tmp_path / "out", codecs=["jpeg"], points=1, metrics=["psnr", "length"])
    found = evaluate(options, RecordingProgress())
    assert {r.image: r.metrics["length"] for r in found.measurements.rows} == {
        "a.png": 6,
        "b.png": None,
        "copy.png": None,
        "tiny.png": 5,
    }
    assert len({r.file for r in found.measurements.rows}) == 4
    (photos / "a.txt").write_text("a green hill")
    (photos / "copy.txt").write_text("again")
    progress = RecordingProgress()
    found = evaluate(options, progress)
    assert progress.known == 2
    assert {r.metrics["length"] for r in found.measurements.rows} == {12, 5, None}
    measuring._metric.cache_clear()


def test_what_is_no_image_is_said_once(two: Path, tmp_path: Path) -> None:
    (two / "broken.png").write_bytes(b"\x89PNG and nothing else")
    progress = RecordingProgress()
    found = evaluate(eval_options(two, tmp_path / "out"), progress)
    (failure,) = found.measurements.failures
    assert (failure.image, failure.codec, failure.quality) == ("broken.png", "", None)
    assert len(progress.messages) == 1
    assert "broken.png: the image cannot be read: " in progress.messages[0]
    assert found.images == {"two": ("small.png", "wide.png")}
    assert "Failed: broken.png: the image cannot be read" in (tmp_path / "out" / "report.md").read_text()


def test_what_is_missing_is_skipped_and_what_is_wrong_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    progress = RecordingProgress()
    found = evaluate(eval_options(photos, tmp_path / "out", codecs=["jxl", "jpeg"]), progress)
    assert found.anchor == "jpeg"
    assert list(found.skipped) == ["jxl"]
    assert any("skipped: jxl needs a plugin" in text for text in progress.messages)
    (empty := tmp_path / "empty").mkdir()
    progress = RecordingProgress()
    options = eval_options(photos, tmp_path / "out", codecs=["jpeg"], qualities={"jpeg": [50, 10.0, 10]})
    found = evaluate(dataclasses.replace(options, datasets=[str(empty), str(photos)]), progress)
    assert progress.messages == [f"skipped: {empty}: no image file in this folder"]
    assert list(found.skipped) == [str(empty)]
    assert {name: len(points) for name, points in found.curves["photos"].items()} == {"jpeg": 2}
    with pytest.raises(InvalidInput, match="no image file in this folder"):
        evaluate(dataclasses.replace(options, datasets=[str(empty)]), RecordingProgress())
    progress = RecordingProgress()
    evaluate(eval_options(photos, tmp_path / "out", metrics=["psnr", "ms-ssim"], codecs=["jpeg"]), progress)
    assert progress.messages == [
        "photos b.png: ms-ssim needs 161 pixels a side or more, got 80x64",
        "photos tiny.png: ms-ssim needs 161 pixels a side or more, got 24x20",
    ]
    for more, said in (
        ({"codecs": ["jxl"]}, "no codec is left"),
        ({"metrics": ["beauty"]}, "got 'beauty'"),
        ({"anchor": "avif"}, "got avif"),
        ({"qualities": {"jpeg": [0.5]}}, "whole number"),
        ({"qualities": {"png": [1]}}, "which is not measured"),
    ):
        with pytest.raises(InvalidInput, match=said):
            evaluate(eval_options(photos, tmp_path / "out", **more), RecordingProgress())
    with pytest.raises(InvalidInput, match="two data sets are called photos"):
        evaluate(
            dataclasses.replace(eval_options(photos, tmp_path / "out"), datasets=[str(photos)] * 2), RecordingProgress()
        )
