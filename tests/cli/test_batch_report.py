"""The report of a batch: errors, warnings, JSON, progress, and Ctrl-C. The codec is a fake."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import warnings
from concurrent.futures import Future
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from support.command_line import make_image, records, tree
from support.fake_codec import MAGIC, FakeCodec
from tacit import cli

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_one_bad_file_is_reported_and_the_rest_go_on(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], jobs: str
) -> None:
    for name in "abc":
        make_image(f"{name}.jpg")
    Path("b.jpg").write_bytes(b"no image at all")
    assert cli.main(["encode", "a.jpg", "b.jpg", "missing.jpg", "none*.jpg", "c.jpg", "-j", jobs]) == 1
    assert tree() == ["a.jpg", "a.tacit", "b.jpg", "c.jpg", "c.tacit"]
    lines = capsys.readouterr().err.splitlines()
    assert sorted(lines) == sorted(
        [
            "tacit: b.jpg: not an image that Pillow reads",
            "tacit: missing.jpg: No such file or directory",
            "tacit: none*.jpg: no file matches",
            "tacit: 2 of 5 files done, 3 failed",
        ]
    )


def test_json_has_one_object_per_file(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    Path("b.jpg").write_bytes(b"no image at all")
    assert cli.main(["encode", "a.jpg", "b.jpg", "--json", "-c", "a boat"]) == 1
    good, bad = records(capsys.readouterr().out)
    size = Path("a.tacit").stat().st_size
    assert good.pop("seconds") >= 0
    assert good == {
        "file": "a.jpg", "output": "a.tacit", "width": 6, "height": 4, "bytes": size, "bpp": size * 8 / 24,
        "quality": 50, "psnr": None, "caption": "a boat", "caption_from": "given",
        "found": [], "missed": ["a boat"],
    }  # fmt: skip
    assert bad == {"file": "b.jpg", "error": "not an image that Pillow reads", "kind": "InvalidInput"}


def test_quiet_says_only_what_went_wrong(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    assert cli.main(["encode", "a.jpg", "b.jpg", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_an_error_nobody_thought_of_is_reported_too(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("oops")

    make_image("a.jpg")
    make_image("b.jpg")
    fake.before = fail
    assert cli.main(["encode", "a.jpg", "b.jpg"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("tacit: a.jpg: unexpected KeyError: 'oops' (TACIT_DEBUG=1 shows where")
    assert "Traceback" not in error
    monkeypatch.setenv("TACIT_DEBUG", "1")
    assert cli.main(["encode", "a.jpg"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_warnings_name_their_file(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], jobs: str) -> None:
    make_image("a.tif", mode="CMYK")
    make_image("b.jpg")
    make_image("c.tif", mode="CMYK")
    assert cli.main(["encode", "a.tif", "b.jpg", "c.tif", "-j", jobs]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert sorted(lines) == [
        "tacit: a.tif: warning: CMYK is converted to RGB",
        "tacit: c.tif: warning: CMYK is converted to RGB",
    ]
    assert cli.main(["encode", "a.tif", "-f", "--json"]) == 0
    (record,) = records(capsys.readouterr().out)
    assert record["warnings"] == ["CMYK is converted to RGB"]


def test_warnings_elsewhere_are_left_alone(fake: type[FakeCodec]) -> None:
    hook, filters = warnings.showwarning, list(warnings.filters)
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg"]) == 0
    assert warnings.showwarning is hook
    assert list(warnings.filters) == filters


def test_progress_is_shown_on_a_terminal(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert cli.main(["encode", "a.jpg", "b.jpg"]) == 0
    said = capsys.readouterr()
    assert "1/2 [" in said.err
    assert len(said.out.splitlines()) == 2


def test_progress_within_a_file_is_shown_where_it_takes_long(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("a.jpg")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(tqdm, "__init__", partialmethod(tqdm.__init__, mininterval=0))
    assert cli.main(["encode", "a.jpg", "-e", "2"]) == 0
    assert " 50%|" in (said := capsys.readouterr().err)
    assert " left" in said
    assert cli.main(["encode", "a.jpg", "-f", "-e", "2", "--quiet"]) == 0
    assert cli.main(["encode", "a.jpg", "-f", "-e", "0"]) == 0
    assert capsys.readouterr().err == ""


def test_ctrl_c_with_jobs_ends_what_takes_long(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    begun = threading.Barrier(2, timeout=20)

    def interrupt(*_: object) -> None:
        if begun.wait() == 0:
            os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.3)

    for name in "abcd":
        make_image(f"{name}.jpg")
    fake.before = interrupt
    assert cli.main(["encode", ".", "-j", "2", "-e", "9"]) == 130
    assert [name for name in tree() if not name.endswith(".jpg")] == []
    assert "interrupted: 0 of 4 files done" in capsys.readouterr().err


def test_ctrl_c_in_a_batch_says_how_many_were_done(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        if len(fake.calls) == 2:
            signal.raise_signal(signal.SIGINT)

    for name in "abcd":
        make_image(f"{name}.jpg")
    fake.before = interrupt
    assert cli.main(["encode", *["a.jpg", "b.jpg", "c.jpg", "d.jpg"]]) == 130
    assert capsys.readouterr().err == "tacit: interrupted: 2 of 4 files done\n"
    assert tree() == ["a.jpg", "a.tacit", "b.jpg", "b.tacit", "c.jpg", "d.jpg"]


@pytest.mark.usefixtures("fake")
def test_ctrl_c_while_a_result_is_taken_loses_no_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    take, taken = Future.result, itertools.count()

    def interrupted(future: Future[Any], timeout: float | None = None) -> Any:
        if next(taken) == 0:
            raise KeyboardInterrupt
        return take(future, timeout)

    monkeypatch.setattr(Future, "result", interrupted)
    for name in "ab":
        make_image(f"{name}.jpg")
    assert cli.main(["encode", ".", "-j", "2"]) == 130
    printed, errors = capsys.readouterr()
    written = [name for name in tree() if name.endswith(".tacit")]
    assert len(printed.splitlines()) == len(written)
    assert f"interrupted: {len(written)} of 2 files done" in errors


def test_ctrl_c_with_jobs_finishes_what_was_begun(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    begun = threading.Barrier(2, timeout=20)

    def interrupt(*_: object) -> None:
        if begun.wait() == 0:
            os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.3)

    for name in "abcdef":
        make_image(f"{name}.jpg")
    fake.before = interrupt
    assert cli.main(["encode", ".", "-j", "2"]) == 130
    written = [name for name in tree() if not name.endswith(".jpg")]
    assert 2 <= len(written) < 6
    assert all(Path(name).read_bytes().startswith(MAGIC) for name in written)
    assert f"interrupted: {len(written)} of 6 files done" in capsys.readouterr().err


def test_ctrl_c_while_writing_leaves_what_was_there(fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    make_image("a.jpg")
    Path("a.tacit").write_text("precious")
    monkeypatch.setattr(os, "replace", interrupt)
    assert cli.main(["encode", "a.jpg", "-f"]) == 130
    assert tree() == ["a.jpg", "a.tacit"]
    assert Path("a.tacit").read_text() == "precious"
