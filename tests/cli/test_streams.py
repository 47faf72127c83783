"""Standard streams: images through pipes, and outputs that take nothing. The codec is a fake."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from PIL import Image

from support.command_line import Pipe, make_image, tree
from support.fake_codec import MAGIC, FakeCodec
from tacit import cli
from tacit.cli import console

pytestmark = pytest.mark.usefixtures("folder")


def test_pipes_both_ways(fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_image("a.png").read_bytes()
    out = Pipe()
    monkeypatch.setattr(sys, "stdin", Pipe(source))
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["encode", "-", "-c", "a boat"]) == 0
    assert out.sent().startswith(MAGIC)
    back = Pipe()
    monkeypatch.setattr(sys, "stdin", Pipe(out.sent()))
    monkeypatch.setattr(sys, "stdout", back)
    assert cli.main(["decode", "-", "--format", "webp"]) == 0
    with Image.open(io.BytesIO(back.sent())) as image:
        assert (image.format, image.size) == ("WEBP", (6, 4))


def test_output_to_a_pipe_leaves_only_data_there(
    fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("a.png")
    out = Pipe()
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["encode", "a.png", "-o", "-"]) == 0
    assert out.sent().startswith(MAGIC)
    assert b"->" not in out.sent()
    assert "a.png -> -" in capsys.readouterr().err


def test_a_terminal_gets_no_binary(
    fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("a.png")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main(["encode", "a.png", "-o", "-"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Standard output is a terminal" in said.err


def test_a_damaged_pipe_is_named(
    fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(b"no image at all"))
    assert cli.main(["encode", "-", "-o", "x.tacit"]) == 1
    assert capsys.readouterr().err == "tacit: standard input: not an image that Pillow reads\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    script = "import sys; from tacit.cli import main; sys.exit(main(['--help']))"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, error = process.communicate(timeout=30)
    assert error == b""


class BrokenOutput(io.TextIOWrapper):
    """A standard output that takes nothing: of a full disk, buffered or not, or of a reader that has left."""

    def __init__(self, kind: str) -> None:
        if kind == "closed":
            reader, writer = os.pipe()
            os.close(reader)
        else:
            writer = os.open("/dev/full", os.O_WRONLY)
        raw = io.FileIO(writer, "w")
        unbuffered = kind == "unbuffered"
        super().__init__(raw if unbuffered else io.BufferedWriter(raw), "utf-8", write_through=unbuffered)


needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")


broken = pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("full", "No space left on device", marks=needs_full),
        pytest.param("unbuffered", "No space left on device", marks=needs_full),
        ("closed", None),
    ],
)


@broken
@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_conversions_go_on_without_a_report(
    fake: type[FakeCodec],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    expected: str | None,
    jobs: str,
    options: list[str],
) -> None:
    for name in "abc":
        make_image(f"{name}.jpg")
    with BrokenOutput(kind) as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert cli.main(["encode", "a.jpg", "b.jpg", "c.jpg", "-j", jobs, *options]) == (1 if expected else 0)
    said = [f"tacit: cannot write standard output: {expected} (the work goes on)"] if expected else []
    assert capsys.readouterr().err.splitlines() == [*said, "tacit: 3 of 3 files done"]
    assert tree() == ["a.jpg", "a.tacit", "b.jpg", "b.tacit", "c.jpg", "c.tacit"]


@needs_full
def test_one_file_without_a_report(
    fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("a.jpg")
    with BrokenOutput("full") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert cli.main(["encode", "a.jpg"]) == 1
    assert capsys.readouterr().err == "tacit: cannot write standard output: No space left on device\n"
    assert tree() == ["a.jpg", "a.tacit"]


@broken
@pytest.mark.parametrize("arguments", [["--help"], ["encode", "--help"], ["--version"], ["models"]])
def test_an_output_that_takes_nothing_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    expected: str | None,
    arguments: list[str],
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # click changes both streams where the reader has left
    with BrokenOutput(kind) as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert cli.main(arguments) == 1
        console.discard(out)
    line = f"tacit: cannot write standard output: {expected}\n" if expected else ""
    assert capsys.readouterr().err == line


@broken
def test_an_image_that_nobody_takes(
    fake: type[FakeCodec],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    expected: str | None,
) -> None:
    make_image("a.jpg")
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    with BrokenOutput(kind) as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert cli.main(["encode", "a.jpg", "-o", "-"]) == 1
        console.discard(out)
    line = f"tacit: a.jpg: cannot write standard output: {expected}\n" if expected else ""
    assert capsys.readouterr().err == line


def test_an_error_of_another_file_is_not_standard_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli.command, "main", fail)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(OSError, match="No space left"):
        cli.main(["models"])


@needs_full
def test_a_full_output_of_a_process() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tacit", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30
        )
    assert (done.returncode, done.stderr) == (1, "tacit: cannot write standard output: No space left on device\n")


def test_a_closed_output(
    fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("a.jpg")
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it under `>&-`
    assert cli.main(["encode", "a.jpg"]) == 0
    assert cli.main(["encode", "a.jpg", "-o", "-"]) == 2
    assert "Standard output is closed" in capsys.readouterr().err
