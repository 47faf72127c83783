"""`tacit eval` from images to reports: what is measured, kept, said and drawn."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.eval_faults import Broken
from support.pictures import synthetic
from tacit import cli
from tacit.errors import InvalidInput, PathError
from tacit.evaluation import measuring, plots, results, results_file, runner, set_measurements, worker_pool
from tacit.evaluation.codecs import CODECS, Quality
from tacit.evaluation.codecs.protocol import quality_text
from tacit.evaluation.cost import Cost
from tacit.evaluation.datasets import load_dataset
from tacit.evaluation.datasets.kodak import KODAK
from tacit.evaluation.evaluation import EvalOptions, evaluate
from tacit.evaluation.journal import Journal
from tacit.evaluation.measurements import Failure, Measurement, Measurements
from tacit.evaluation.metrics import load_metric
from tacit.evaluation.pixels import load_pixels
from tacit.evaluation.report import formatting, outdated_files, write_report
from tacit.evaluation.report.html import html
from tacit.evaluation.report.markdown import markdown
from tacit.evaluation.results import Results
from tacit.evaluation.tasks import caption_for


class Heard:
    """A progress that keeps what it hears."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.units = 0
        self.known = 0
        self.total = 0

    def begin(self, total: int, known: int) -> None:
        self.total, self.known = total, known

    def done(self, text: str) -> None:
        self.units += 1

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True)
def _one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's threads wait busily for each other where something else takes the cores, such as other tests."""
    for module in (runner, worker_pool):
        monkeypatch.setattr(module, "cores", lambda: 1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three images, two with captions; one of them too small for MS-SSIM."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, width, height, caption in (("a", 176, 164, "a hill"), ("b", 80, 64, None), ("tiny", 24, 20, "a dot")):
        Image.fromarray(synthetic(width, height, len(name))).save(folder / f"{name}.png")
        if caption:
            (folder / f"{name}.txt").write_text(caption)
    return folder


def _options(photos: Path, out: Path, **more: Any) -> EvalOptions:
    given: dict[str, Any] = {"codecs": ["jpeg", "webp"], "metrics": ["psnr"], "points": 3, "jobs": 1, "crops": 0}
    return EvalOptions(datasets=[str(photos)], out=out, **{**given, **more})


# -- from end to end --------------------------------------------------------------------------------------------------


def test_from_images_to_reports(photos: Path, tiny_weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    heard = Heard()
    found = evaluate(
        _options(
            photos,
            tmp_path / "out",
            codecs=["jpeg", str(tiny_weights), f"{tiny_weights}+captions"],
            metrics=["psnr", "ms-ssim", "psnr-authors", "bpp-authors"],
            precision="fp32",
            crops=2,
            command="tacit eval photos",
        ),
        heard,
    )
    out = tmp_path / "out"
    assert "photos tiny+captions: 1 images have no caption (b.png); they are left out for this codec" in heard.said
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
    _check_html(page)
    for word in ("tiny+captions", "b.png", "needs 161 pixels", "a dot", "tacit eval photos", "Bjøntegaard"):
        assert word in page, word
    text = (out / "report.md").read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (out / target).is_file(), target
    assert "| tiny | " in text


class _Tags(HTMLParser):
    """Open tags must be closed, and nothing may come from elsewhere."""

    void = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.used: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.void:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                assert value is not None
                assert value.startswith(("data:", "#")), value
                self.used |= {value[1:]} if value.startswith("#") else set()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _check_html(page: str) -> None:
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert tags.used <= set(tags.ids)
    assert "url(http" not in page
    assert not re.search(r"\$\w", page.split("</style>")[1])


def test_weights_of_fixed_rate_are_points_of_one_curve(
    photos: Path, tiny_taco_fixed_weights: Path, tmp_path: Path
) -> None:
    for name in ("high", "low"):
        (tmp_path / "taco").mkdir(exist_ok=True)
        (tmp_path / "taco" / f"{name}.safetensors").write_bytes(tiny_taco_fixed_weights.read_bytes())
    options = _options(photos, tmp_path / "out", codecs=[f"{tmp_path / 'taco'}", "jpeg"], crops=1, limit=1)
    found = evaluate(options, Heard())
    assert {row.quality for row in found.measurements.rows if row.codec == "taco"} == {"high", "low"}
    assert "two points have one rate" in str(found.differences) or "three" in str(found.differences)
    again = results_file.load(tmp_path / "out" / "results.json")
    assert again.measurements == found.measurements
    page = (tmp_path / "out" / "report.html").read_text()
    _check_html(page)
    assert "quality low" in page or "quality high" in page


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_programs_too_and_keeps_what_is_done(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "codec.py").write_text(
        "import shutil, sys, time\n"
        "if sys.argv[1] == 'wait': open(sys.argv[4], 'w').close(); time.sleep(60)\n"
        "shutil.copy(sys.argv[2], sys.argv[3])\n"
    )
    run = f"'{sys.executable}' '{tmp_path / 'codec.py'}'"
    (tmp_path / "codecs.toml").write_text(
        f'''[codec.copy]
encode = "{run} {{quality}} {{input}} {{file}} '{tmp_path / "waiting"}'"
decode = "{run} go {{file}} {{output}}"
suffix = "png"
qualities = ["go", "wait"]
'''
    )
    arguments = ["eval", photos, "-o", tmp_path / "out", "--codecs", "copy", "--codec-file", tmp_path / "codecs.toml"]
    arguments += ["--metrics", "psnr-y", "-j", "2", "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tacit", *map(str, arguments)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    begun = time.monotonic()
    journal = tmp_path / "out" / "results.jsonl"

    def underway() -> bool:
        return (tmp_path / "waiting").exists() and journal.is_file() and journal.stat().st_size > 0

    try:
        while not underway() and time.monotonic() < begun + 50:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    assert "Traceback" not in err
    assert '"quality": "go"' in journal.read_text()


def test_a_second_run_goes_on_from_the_first(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = _options(photos, tmp_path / "out")
    first = evaluate(options, Heard())
    calls: list[str] = []
    encode, decode = type(CODECS["jpeg"]).encode, type(CODECS["jpeg"]).decode
    monkeypatch.setattr(type(CODECS["jpeg"]), "encode", lambda s, *a: (calls.append("encode"), encode(s, *a))[1])
    monkeypatch.setattr(type(CODECS["jpeg"]), "decode", lambda s, *a: (calls.append("decode"), decode(s, *a))[1])

    heard = Heard()
    second = evaluate(options, heard)
    assert (heard.total, heard.known, heard.units) == (18, 18, 0)
    assert calls == []
    assert second.measurements == first.measurements

    # Another metric takes the files that are there.
    third = evaluate(dataclasses.replace(options, metrics=["psnr", "psnr-y"]), Heard())
    assert calls == ["decode"] * 18
    assert [r.encode for r in third.measurements.rows] == [r.encode for r in first.measurements.rows]
    assert all(r.metrics["psnr-y"] for r in third.measurements.rows)

    # A file that has gone is made again; a changed image is another image.
    calls.clear()
    row = third.measurements.rows[0]
    (tmp_path / "out" / row.file).unlink()
    evaluate(options, Heard())
    assert calls == ["encode", "decode"]
    calls.clear()
    Image.fromarray(synthetic(24, 20, 99)).save(photos / "tiny.png")
    evaluate(options, Heard())
    assert calls == ["encode", "decode"] * 6
    calls.clear()
    evaluate(dataclasses.replace(options, fresh=True), Heard())
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
    options = _options(photos, tmp_path / "out", codecs=["jpeg"], points=1, metrics=["psnr", "length"])
    found = evaluate(options, Heard())
    assert {r.image: r.metrics["length"] for r in found.measurements.rows} == {
        "a.png": 6,
        "b.png": None,
        "copy.png": None,
        "tiny.png": 5,
    }
    assert len({r.file for r in found.measurements.rows}) == 4
    (photos / "a.txt").write_text("a green hill")
    (photos / "copy.txt").write_text("again")
    heard = Heard()
    found = evaluate(options, heard)
    assert heard.known == 2
    assert {r.metrics["length"] for r in found.measurements.rows} == {12, 5, None}
    measuring._metric.cache_clear()


@pytest.mark.parametrize("cut", [1, 30])
def test_a_journal_that_was_cut_off_loses_its_last_line_only(cut: int, tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        for key in "abc":
            journal.append({"key": key, "value": "x" * 40})
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole[:-cut])
    with Journal(tmp_path / "j") as journal:
        assert list(journal.entries) == ["a", "b"]
        journal.append({"key": "c", "value": "x" * 40})
    assert (tmp_path / "j").read_bytes() == whole
    (tmp_path / "j").write_text("something else\n")
    with pytest.raises(InvalidInput, match="line 1"):
        Journal(tmp_path / "j")


def test_a_full_disk_keeps_what_the_journal_has(tmp_path: Path) -> None:
    class Full:
        """Takes a part, as a disk does that has a little space left."""

        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def write(self, data: bytes) -> int:
            return int(self.stream.write(data[:5]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

    with Journal(tmp_path / "j") as journal:
        journal.append({"key": "a"})
        before = (tmp_path / "j").read_bytes()
        journal._stream = Full(journal._stream)  # type: ignore[assignment]
        with pytest.raises(PathError, match="No space left on device"):
            journal.append({"key": "b"})
        assert list(journal.entries) == ["a"]
    assert (tmp_path / "j").read_bytes() == before


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> Path:
    folder = tmp_path / "two"
    folder.mkdir()
    for name, width, height in (("small", 24, 20), ("wide", 176, 164)):
        Image.fromarray(synthetic(width, height)).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize(
    ("fault", "said"),
    [("raises", "RuntimeError: no idea what to do"), ("memory", "not enough memory"), ("", "got (164, 176, 3)")],
)
def test_a_codec_that_fails_on_one_image_is_said_and_the_rest_goes_on(
    fault: str, said: str, two: Path, tmp_path: Path
) -> None:
    heard = Heard()
    codec = Broken(fault=fault)
    found = runner.run(
        [load_dataset(str(two))], [codec, CODECS["jpeg"]], [load_metric("psnr")],
        {"broken": codec.qualities, "jpeg": (10, 50, 90)}, tmp_path / "out", heard, jobs=1,
    )  # fmt: skip
    assert [(r.image, r.codec) for r in found.rows] == (
        [("small.png", "jpeg")] * 3 + [("wide.png", "broken")] * 3 + [("wide.png", "jpeg")] * 3
    )
    assert len(found.failures) == 3
    assert all(said in f.reason and (f.image, f.codec) == ("small.png", "broken") for f in found.failures)
    assert len(heard.said) == 3
    assert heard.said[0].startswith("two small.png broken 1: ")
    assert not list((tmp_path / "out").rglob("*.part.*"))
    # What failed is tried again next time.
    again = Heard()
    _ = runner.run(
        [load_dataset(str(two))], [dataclasses.replace(codec)], [load_metric("psnr")], {"broken": codec.qualities},
        tmp_path / "out", again, jobs=1,
    )  # fmt: skip
    assert (again.total, again.known) == (6, 3)


def test_what_is_no_image_is_said_once(two: Path, tmp_path: Path) -> None:
    (two / "broken.png").write_bytes(b"\x89PNG and nothing else")
    heard = Heard()
    found = evaluate(_options(two, tmp_path / "out"), heard)
    (failure,) = found.measurements.failures
    assert (failure.image, failure.codec, failure.quality) == ("broken.png", "", None)
    assert len(heard.said) == 1
    assert "broken.png: the image cannot be read: " in heard.said[0]
    assert found.images == {"two": ("small.png", "wide.png")}
    assert "Failed: broken.png: the image cannot be read" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_codec_that_lacks_something_is_said_once_and_left_alone(jobs: int, two: Path, tmp_path: Path) -> None:
    codec = Broken(fault="extra")
    heard = Heard()
    found = runner.run(
        [load_dataset(str(two))], [codec, CODECS["jpeg"]], [load_metric("psnr")], {"broken": (1, 2), "jpeg": (50,)},
        tmp_path / "out", heard, jobs=jobs,
    )  # fmt: skip
    assert heard.said == ["two broken: cannot be used here: this codec needs tacit[all]"]
    assert found.failures == (
        Failure(dataset="two", codec="broken", reason=heard.said[0].removeprefix("two broken: ")),
    )
    assert sorted(r.image for r in found.rows) == ["small.png", "wide.png"]


def test_a_full_disk_ends_the_run_and_keeps_what_is_done(two: Path, tmp_path: Path) -> None:
    codec = Broken(fault="disk", at=176)
    jpeg = CODECS["jpeg"]
    with pytest.raises(PathError, match=r"No space left on device.*kept"):
        runner.run(
            [load_dataset(str(two))], [jpeg, codec], [load_metric("psnr")], {"jpeg": (50,), "broken": (1,)},
            tmp_path / "out", Heard(), jobs=1,
        )  # fmt: skip
    with Journal(tmp_path / "out" / runner.JOURNAL) as journal:
        assert [e["codec"] for e in journal.entries.values()] == ["jpeg", "jpeg"]


def test_several_processes_give_the_same_and_survive_the_death_of_one(two: Path, tmp_path: Path) -> None:
    codecs = [Broken(fault="dies"), CODECS["jpeg"]]
    qualities: dict[str, tuple[Quality, ...]] = {"broken": (1,), "jpeg": (10, 50)}
    heard = Heard()
    found = runner.run(
        [load_dataset(str(two))], codecs, [load_metric("psnr")], qualities, tmp_path / "out", heard, jobs=2
    )
    assert {(r.image, r.codec, r.quality) for r in found.rows} == {
        ("wide.png", "broken", 1),
        *((name, "jpeg", quality) for name in ("small.png", "wide.png") for quality in (10, 50)),
    }
    (failure,) = found.failures
    assert "its process died" in failure.reason
    alone = runner.run(
        [load_dataset(str(two))], [CODECS["jpeg"]], [load_metric("psnr")], {"jpeg": (10, 50)}, tmp_path / "alone",
        Heard(), jobs=1,
    )  # fmt: skip
    values = {(r.image, r.quality): (r.bytes, r.metrics) for r in found.rows if r.codec == "jpeg"}
    assert values == {(r.image, r.quality): (r.bytes, r.metrics) for r in alone.rows}


def test_what_is_missing_is_skipped_and_what_is_wrong_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    heard = Heard()
    found = evaluate(_options(photos, tmp_path / "out", codecs=["jxl", "jpeg"]), heard)
    assert found.anchor == "jpeg"
    assert list(found.skipped) == ["jxl"]
    assert any("skipped: jxl needs a plugin" in text for text in heard.said)
    (empty := tmp_path / "empty").mkdir()
    heard = Heard()
    options = _options(photos, tmp_path / "out", codecs=["jpeg"], qualities={"jpeg": [50, 10.0, 10]})
    found = evaluate(dataclasses.replace(options, datasets=[str(empty), str(photos)]), heard)
    assert heard.said == [f"skipped: {empty}: no image file in this folder"]
    assert list(found.skipped) == [str(empty)]
    assert {name: len(points) for name, points in found.curves["photos"].items()} == {"jpeg": 2}
    with pytest.raises(InvalidInput, match="no image file in this folder"):
        evaluate(dataclasses.replace(options, datasets=[str(empty)]), Heard())
    heard = Heard()
    evaluate(_options(photos, tmp_path / "out", metrics=["psnr", "ms-ssim"], codecs=["jpeg"]), heard)
    assert heard.said == [
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
            evaluate(_options(photos, tmp_path / "out", **more), Heard())
    with pytest.raises(InvalidInput, match="two data sets are called photos"):
        evaluate(dataclasses.replace(_options(photos, tmp_path / "out"), datasets=[str(photos)] * 2), Heard())


def test_no_more_processes_than_memory_has_room_for(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (2000, 1000)).save(photos / "large.png")
    datasets, codecs = [load_dataset(str(photos))], [CODECS["jpeg"]]
    need = worker_pool.WORKER_BYTES + 2000 * 1000 * worker_pool.BYTES_PER_PIXEL
    monkeypatch.setattr(worker_pool, "cores", lambda: 8)
    for free, processes in ((3.1 * need / 0.8, 3), (0.5 * need, 1), (100 * need, 8), (None, 8)):
        monkeypatch.setattr(worker_pool, "available_memory", lambda free=free: free)
        assert worker_pool.worker_count(None, datasets, codecs) == processes
    assert worker_pool.worker_count(5, datasets, codecs) == 5


def test_swapped_captions_are_those_of_another_image(photos: Path) -> None:
    dataset = load_dataset(str(photos))
    swapped = Broken(captions="swapped")
    assert [caption_for(swapped, dataset, i) for i in (0, 2)] == ["a dot", "a hill"]
    assert caption_for(Broken(captions="own"), dataset, 0) == "a hill"
    assert caption_for(Broken(), dataset, 0) is None


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
    options = _options(photos, tmp_path / "out", codecs=["jpeg"], metrics=["psnr", "count"])
    found = evaluate(options, Heard())
    assert [s.metric for s in found.measurements.sets] == ["count"] * 3
    one = found.measurements.sets[0]
    files = [tmp_path / "out" / r.file for r in found.measurements.rows if r.quality == one.quality]
    assert one.value == pytest.approx(np.mean([np.asarray(Image.open(f).convert("RGB")).mean() for f in files]))
    assert found.curves["photos"]["jpeg"][0].metrics.keys() == {"psnr", "count"}
    evaluate(options, Heard())
    assert Count.calls == 3  # known from the journal

    # A file that was damaged since is said, and the rest goes on.
    (tmp_path / "out" / found.measurements.rows[0].file).write_bytes(b"no JPEG")
    heard = Heard()
    monkeypatch.setattr(Count, "protocol", "another")
    again = evaluate(dataclasses.replace(options, metrics=["psnr", "count"]), heard)
    (failure,) = again.measurements.failures
    assert (failure.codec, failure.quality) == ("jpeg", one.quality)
    assert "count: UnidentifiedImageError: " in failure.reason
    assert len(again.measurements.sets) == 2
    assert len(heard.said) == 1


# -- results and plots ------------------------------------------------------------------------------------------------


def made(name: str = "Kodak", notes: tuple[str, ...] = (), shift: float = 0.0) -> Results:
    """Results of two codecs on 24 images, made up."""
    rng = np.random.default_rng(3)
    rows = []
    images = list(KODAK)
    for image in images:
        hard = rng.uniform(-3, 3)
        for codec, better in (("jpeg", 0.0), ("tacit-s", 2.0)):
            for i in range(4):
                size = round(1000 * 2**i * 1.05**hard)
                value = 26 + 3.0 * i - hard + better + (shift if codec == "tacit-s" else 0) + rng.normal(0, 0.01)
                rows.append(
                    Measurement(
                        dataset=name,
                        image=image,
                        codec=codec,
                        quality=10 * i,
                        width=100,
                        height=100,
                        bytes=size,
                        file=f"files/{codec}/{i}/{image}",
                        encode=Cost(0.1, 1000),
                        decode=Cost(0.2, None),
                        metrics={"psnr": round(value, 5)},
                        notes={},
                    )
                )
    infos = tuple(results.ImageInfo(image, image, None) for image in images)
    return Results(
        command="tacit eval", date="2026-01-01", seconds=1.0, machine={"cores": 2}, libraries={"torch": "2"},
        datasets=(results.DatasetInfo(name, infos, notes),),
        codecs={"jpeg": {"format": "JPEG"}, "tacit-s": {"weights": {}}},
        metrics=(results.MetricInfo("psnr", "dB", True, "mse"),), skipped={}, anchor="jpeg",
        measurements=Measurements(tuple(rows), (), ()),
    )  # fmt: skip


def test_results_survive_their_file(tmp_path: Path) -> None:
    found = made()
    results_file.save(found, tmp_path / "r.json")
    again = results_file.load(tmp_path / "r.json")
    assert results_file.to_json(again) == results_file.to_json(found)
    assert max(map(len, (tmp_path / "r.json").read_text().splitlines())) < 600  # differences can be read
    for text, said in (("{", "not JSON"), ("[]", "not a result"), ('{"kind": "tacit eval"}', "got None")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InvalidInput, match=said):
            results_file.load(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text('{"kind": "tacit eval", "format": 1}')
    with pytest.raises(InvalidInput, match="damaged results"):
        results_file.load(tmp_path / "bad.json")
    with pytest.raises(PathError):
        results_file.load(tmp_path / "none.json")


def test_differences_are_bjontegaards_and_refusals_say_why() -> None:
    found = made()
    rate, quality = found.differences["Kodak"]["psnr"]["tacit-s"]
    assert not isinstance(quality, str)
    assert quality.value == pytest.approx(2.0, abs=0.02)
    assert not isinstance(rate, str)
    assert rate.value == pytest.approx(100 * (2 ** (-2 / 3) - 1), abs=1)  # 3 dB for twice the bytes
    few = dataclasses.replace(
        found, measurements=Measurements(tuple(r for r in found.measurements.rows if r.quality in (0, 10)), (), ())
    )
    rate, _ = few.differences["Kodak"]["psnr"]["tacit-s"]
    assert isinstance(rate, str)
    assert "three" in rate
    assert "none: " in markdown(few)


def test_every_two_codecs_are_compared_and_curves_from_papers_with_them() -> None:
    found = made()
    pairs = found.rate_differences["Kodak"]["psnr"]
    assert list(pairs["tacit-s"]) == ["jpeg", "ELIC, published", "VTM, published", "mbt2018, published"]
    one, other = pairs["tacit-s"]["jpeg"], pairs["jpeg"]["tacit-s"]
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    assert (1 + one.value / 100) * (1 + other.value / 100) == pytest.approx(1)
    assert pairs["tacit-s"]["jpeg"] == found.differences["Kodak"]["psnr"]["tacit-s"][0]
    assert list(made(name="CLIC").rate_differences["CLIC"]["psnr"]["tacit-s"]) == ["jpeg"]
    three = dataclasses.replace(
        found,
        codecs={**found.codecs, "webp": {}},
        measurements=Measurements(
            found.measurements.rows
            + tuple(dataclasses.replace(row, codec="webp") for row in found.measurements.rows if row.codec == "jpeg"),
            (),
            (),
        ),
    )
    text = markdown(three)
    assert "| bits for equal psnr | against jpeg | against tacit-s | against webp | against ELIC, published |" in text
    assert "| tacit-s | -3" in text
    assert "| webp | +0.0 % | +" in text
    assert text.count("CVPR 2022") == 1


def test_times_are_those_of_the_clock_and_of_the_processors() -> None:
    found = made()
    (point, *_) = found.curves["Kodak"]["jpeg"]
    assert (point.encode, point.decode) == (Cost(pytest.approx(0.1), 1000), Cost(pytest.approx(0.2), None))
    busy = dataclasses.replace(
        found,
        measurements=Measurements(
            tuple(dataclasses.replace(row, encode=Cost(0.1, 10**6, 0.05)) for row in found.measurements.rows), (), ()
        ),
    )
    heads = "| codec | encode (ms) | decode (ms) | encode (CPU ms) | decode (CPU ms) | encode (MB) | decode (MB) |"
    text = markdown(busy)
    assert heads in text
    assert "| jpeg | 100 | 200 | 50 |  | 1 |  |" in text


def test_reports_that_are_not_of_their_results_are_found(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = made()
    assert outdated_files(found, tmp_path) == ["report.md", "plots/Kodak-psnr.svg"]
    write_report(found, [], tmp_path)
    results_file.save(found, tmp_path / "results.json")
    assert outdated_files(results_file.load(tmp_path / "results.json"), tmp_path) == []
    assert outdated_files(made(shift=0.1), tmp_path) == ["report.md", "plots/Kodak-psnr.svg"]
    said = (tmp_path / "report.md").read_text()
    (tmp_path / "report.md").write_text(said.replace("26", "27"))
    assert outdated_files(found, tmp_path) == ["report.md"]


def test_numbers_are_said_with_the_digits_that_matter() -> None:
    assert [formatting.percent(v) for v in (-0.04, 0.04, -12.34)] == ["+0.0 %", "+0.0 %", "-12.3 %"]
    assert [formatting.signed(v) for v in (-0.00001, -0.0321, 1.234)] == ["+0.0000", "-0.0321", "+1.23"]
    assert [formatting.number(v) for v in (0.98765, 31.236, -20.0)] == ["0.9877", "31.24", "-20.00"]
    assert [quality_text(q) for q in (28, 28.5, 30.0, "low")] == ["28", "28.5", "30", "low"]


def test_elics_curve_is_drawn_on_whole_kodak_only() -> None:
    pytest.importorskip("matplotlib")
    psnr = made().metrics[0]
    whole = made()
    rows = whole.measurements.rows
    for found, there in (
        (whole, True),
        # One file of one codec could not be made, so its image is in no curve; and a folder with one image less.
        (dataclasses.replace(whole, measurements=Measurements(rows[1:], (), ())), False),
        (dataclasses.replace(whole, measurements=Measurements(rows[8:], (), ())), False),
        (made(name="CLIC"), False),
    ):
        dataset = found.datasets[0].name
        plot = plots.draw(found, dataset, psnr)
        assert plot is not None
        assert ("ELIC" in plot.svg) is there
        page = html(found, {dataset: [plot, plots.draw(found, dataset, psnr, log=True)]}, [])  # type: ignore[list-item]
        _check_html(page)
        assert ("CVPR 2022" in page) is there


def test_plots_follow_the_colour_scheme_and_are_the_same_every_time() -> None:
    pytest.importorskip("matplotlib")
    found = made()
    once, again = (plots.draw(found, "Kodak", found.metrics[0], log=True) for _ in range(2))
    assert once is not None
    assert once == again
    assert not re.findall(r"(?:stroke|fill): #(?!fff)", once.svg)  # all colours are variables
    assert "prefers-color-scheme:dark" in once.file
    assert once.file.startswith("<svg")
    assert "0.5" in once.svg  # ticks are numbers, not powers


def test_reports_without_matplotlib_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_report(made(), [], tmp_path)
    page = (tmp_path / "report.html").read_text()
    _check_html(page)
    assert "plots need matplotlib" in page
    assert "![" not in (tmp_path / "report.md").read_text()


def test_pictures_at_equal_bytes_are_as_near_below_as_the_codec_can(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tacit.evaluation.equal_bytes import detailed_box, equal_bytes_examples

    out = tmp_path / "out"
    codecs = [CODECS["webp"], CODECS["jpeg"]]
    found = evaluate(_options(photos, out, qualities={"webp": [20, 60, 90], "jpeg": [5, 95]}), Heard())
    dataset = load_dataset(str(photos))
    (one,) = equal_bytes_examples(dataset, codecs, found.measurements.rows, out, 1, Heard())
    webp, jpeg = sorted(one.files, key=lambda s: s.codec, reverse=True)
    assert one.leader == "webp"
    assert webp.bytes == one.limit
    assert jpeg.bytes <= one.limit
    assert not jpeg.too_large
    assert not isinstance(jpeg.quality, str)
    # One more would be too large.
    pixels = load_pixels(photos / one.image)
    CODECS["jpeg"].encode(pixels, None, jpeg.quality + 1, tmp_path / "x.jpg", 1)
    assert (tmp_path / "x.jpg").stat().st_size > one.limit

    def fails(*_: object) -> None:
        raise RuntimeError("out of ideas")

    monkeypatch.setattr(type(CODECS["jpeg"]), "decode", fails)
    heard = Heard()
    (one,) = equal_bytes_examples(dataset, codecs, found.measurements.rows, out, 1, heard)
    assert one.files == ()
    assert heard.said[1].endswith("jpeg: not shown at equal bytes: out of ideas")

    busy = np.zeros((400, 600, 3), np.uint8)
    busy[210:380, 320:560] = np.random.default_rng(0).integers(0, 255, (170, 240, 3))
    left, top, right, bottom = detailed_box(busy, 256, 192)
    assert (right - left, bottom - top) == (256, 192)
    assert abs(left - 312) < 100
    assert abs(top - 200) < 100


# -- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = cli.main(["eval", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_the_command(run: Any, photos: Path, tmp_path: Path) -> None:
    status, _, err = run(
        photos, "-o", tmp_path / "out", "--codecs", "jpeg,webp", "--quality", "jpeg=20,60", "--points", 2, "-j", 1,
        "--crops", 0,
    )  # fmt: skip
    assert status == 0, err
    found = results_file.load(tmp_path / "out" / "results.json")
    assert {row.quality for row in found.measurements.rows if row.codec == "jpeg"} == {20, 60}
    assert {row.quality for row in found.measurements.rows if row.codec == "webp"} == {0, 94}
    assert found.command.startswith(f"tacit eval {photos} ")
    assert "100%" in err

    status, out, _ = run("--compare", tmp_path / "out" / "results.json", tmp_path / "out" / "results.json")
    assert status == 0
    assert "are the same on every image" in out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["photos"], 2, "Name a DATASET"),
        (["{photos}", "-o", "{out}", "--codecs", "jpg"], 2, "got 'jpg'"),
        (["{photos}", "-o", "{out}", "--quality", "jpeg"], 2, "must be CODEC=N"),
        (["{out}/none", "-o", "{out}"], 1, "no such file or folder"),
        (["--compare", "{out}/a.json", "{out}/b.json"], 1, "a.json"),
    ],
)
def test_wrong_usage_is_said(
    run: Any, arguments: list[str], status: int, said: str, photos: Path, tmp_path: Path
) -> None:
    found, _, err = run(*(a.format(photos=photos, out=tmp_path / "out") for a in arguments))
    assert found == status
    assert said in err
