"""Runs with codecs that fail."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from support.evaluations import RecordingProgress
from support.faulty_codec import FaultyCodec
from tacit.errors import PathError
from tacit.evaluation import runner
from tacit.evaluation.codecs import CODECS
from tacit.evaluation.datasets import load_dataset
from tacit.evaluation.journal import Journal
from tacit.evaluation.measurements import Failure
from tacit.evaluation.metrics import load_metric


@pytest.mark.parametrize(
    ("fault", "said"),
    [("raises", "RuntimeError: no idea what to do"), ("memory", "not enough memory"), ("", "got (164, 176, 3)")],
)
def test_a_codec_that_fails_on_one_image_is_said_and_the_rest_goes_on(
    fault: str, said: str, two: Path, tmp_path: Path
) -> None:
    progress = RecordingProgress()
    codec = FaultyCodec(fault=fault)
    found = runner.run(
        [load_dataset(str(two))], [codec, CODECS["jpeg"]], [load_metric("psnr")],
        {"broken": codec.qualities, "jpeg": (10, 50, 90)}, tmp_path / "out", progress, jobs=1,
    )  # fmt: skip
    assert [(r.image, r.codec) for r in found.rows] == (
        [("small.png", "jpeg")] * 3 + [("wide.png", "broken")] * 3 + [("wide.png", "jpeg")] * 3
    )
    assert len(found.failures) == 3
    assert all(said in f.reason and (f.image, f.codec) == ("small.png", "broken") for f in found.failures)
    assert len(progress.messages) == 3
    assert progress.messages[0].startswith("two small.png broken 1: ")
    assert not list((tmp_path / "out").rglob("*.part.*"))
    # What failed is tried again next time.
    again = RecordingProgress()
    _ = runner.run(
        [load_dataset(str(two))], [dataclasses.replace(codec)], [load_metric("psnr")], {"broken": codec.qualities},
        tmp_path / "out", again, jobs=1,
    )  # fmt: skip
    assert (again.total, again.known) == (6, 3)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_codec_that_lacks_something_is_said_once_and_left_alone(jobs: int, two: Path, tmp_path: Path) -> None:
    codec = FaultyCodec(fault="extra")
    progress = RecordingProgress()
    found = runner.run(
        [load_dataset(str(two))], [codec, CODECS["jpeg"]], [load_metric("psnr")], {"broken": (1, 2), "jpeg": (50,)},
        tmp_path / "out", progress, jobs=jobs,
    )  # fmt: skip
    assert progress.messages == ["two broken: cannot be used here: this codec needs tacit[all]"]
    assert found.failures == (
        Failure(dataset="two", codec="broken", reason=progress.messages[0].removeprefix("two broken: ")),
    )
    assert sorted(r.image for r in found.rows) == ["small.png", "wide.png"]


def test_a_full_disk_ends_the_run_and_keeps_what_is_done(two: Path, tmp_path: Path) -> None:
    codec = FaultyCodec(fault="disk", at=176)
    jpeg = CODECS["jpeg"]
    with pytest.raises(PathError, match=r"No space left on device.*kept"):
        runner.run(
            [load_dataset(str(two))], [jpeg, codec], [load_metric("psnr")], {"jpeg": (50,), "broken": (1,)},
            tmp_path / "out", RecordingProgress(), jobs=1,
        )  # fmt: skip
    with Journal(tmp_path / "out" / runner.JOURNAL) as journal:
        assert [e["codec"] for e in journal.entries.values()] == ["jpeg", "jpeg"]
