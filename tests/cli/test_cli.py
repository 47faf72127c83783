"""The command line: what it does with paths, options, pipes and errors. The codec is a fake, but for the last tests."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tacit import cli
from tacit.errors import CorruptFile, CorruptWeights, TargetNotReached, UnknownModel
from tacit.image import Raster, to_pil

MAGIC = b"FAKE"


@dataclass(frozen=True)
class FakeResult:
    data: bytes
    quality: float | None
    bpp: float
    psnr: float | None
    width: int
    height: int
    caption: str | None


class FakeCodec:
    """Stores the photo as PNG, with what it was asked for in front; remembers the calls."""

    made: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    before: Callable[[], None]

    def __init__(self, model: str = "tacit-s", **options: Any) -> None:
        if model == "unknown":
            raise UnknownModel("no model is called unknown; there are: tacit-s")
        self.made.append({"model": model, **options})

    def encode_result(
        self, image: Raster, caption: str | None = None, quality: float = 50, **options: Any
    ) -> FakeResult:
        self.before()
        self.calls.append({"caption": caption, "quality": quality, **options})
        if options.get("size", 1000) < 100:
            raise TargetNotReached(f"{options['size']} bytes: the smallest is 321")
        stream = io.BytesIO()
        to_pil(image).save(stream, "PNG")
        data = MAGIC + stream.getvalue()
        bpp = 8 * len(data) / (image.width * image.height)
        return FakeResult(data, quality, bpp, None, image.width, image.height, caption)

    def decode(
        self, data: bytes, *, box: tuple[int, int, int, int] | None = None, salvage: bool = False
    ) -> Image.Image:
        self.calls.append({"box": box, "salvage": salvage})
        if not data.startswith(MAGIC):
            raise CorruptFile("not what I wrote")
        image = Image.open(io.BytesIO(data[len(MAGIC) :]))
        return image.crop(box) if box else image.copy()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeCodec]:
    codec = type("Codec", (FakeCodec,), {"made": [], "calls": [], "before": staticmethod(lambda: None)})
    module = types.ModuleType("tacit.codec")
    module.Codec = codec  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tacit.codec", module)
    return codec


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_image(path: str, size: tuple[int, int] = (6, 4), mode: str = "RGB", **options: Any) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 77).save(path, **options)
    return Path(path)


def tree(folder: str = ".") -> list[str]:
    """All files below a folder, temporary and hidden ones included."""
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file())


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


class Pipe(io.TextIOWrapper):
    """A standard stream on bytes in memory."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", write_through=True)

    def sent(self) -> bytes:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


# Where things go


def test_encode_and_decode_write_beside_the_source(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("in/photo.jpg")
    assert cli.main(["encode", "in/photo.jpg"]) == 0
    assert cli.main(["decode", "in/photo.tacit"]) == 0
    assert tree("in") == ["photo.jpg", "photo.png", "photo.tacit"]
    with Image.open("in/photo.png") as image:
        assert image.size == (6, 4)
    said = capsys.readouterr()
    assert said.out.startswith("in/photo.jpg -> in/photo.tacit  6x4, ")
    assert said.err == ""


def test_output_names_a_file_or_a_folder(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    assert cli.main(["encode", "a.jpg", "-o", "x.tacit"]) == 0
    assert cli.main(["encode", "a.jpg", "-o", "new/"]) == 0
    assert cli.main(["encode", "a.jpg", "b.jpg", "-o", "out"]) == 0
    assert cli.main(["encode", "b.jpg", "-o", "new"]) == 0, "new is a folder by now"
    assert tree() == ["a.jpg", "b.jpg", "new/a.tacit", "new/b.tacit", "out/a.tacit", "out/b.tacit", "x.tacit"]


def test_a_folder_is_mirrored(fake: type[FakeCodec]) -> None:
    for name in ("in/a.jpg", "in/sub/b.PNG", "in/sub/deep/c.v2.webp", "in/.hidden/d.jpg", "in/._a.jpg"):
        make_image(name, format="PNG")
    Path("in/notes.txt").write_text("no image")
    assert cli.main(["encode", "in", "-o", "out", "-j", "2"]) == 0
    assert tree("out") == ["a.tacit", "sub/b.tacit", "sub/deep/c.v2.tacit"]
    assert cli.main(["decode", "out", "-o", "back", "--format", "jpg"]) == 0
    assert tree("back") == ["a.jpg", "sub/b.jpg", "sub/deep/c.v2.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.jpg", ["a.tacit"]),
        ("in/**/*.jpg", ["a.tacit", "sub/b.tacit"]),
        ("in/[ab].jpg", ["a.tacit"]),
        ("in/*", ["a.tacit", "b.tacit"]),
    ],
)
def test_patterns_that_no_shell_expanded(fake: type[FakeCodec], pattern: str, expected: list[str]) -> None:
    make_image("in/a.jpg")
    make_image("in/sub/b.jpg")
    assert cli.main(["encode", pattern, "-o", "out/"]) == 0
    assert tree("out") == expected


def test_a_file_whose_name_looks_like_a_pattern(fake: type[FakeCodec]) -> None:
    make_image("photo[1].jpg")
    assert cli.main(["encode", "photo[1].jpg"]) == 0
    assert tree() == ["photo[1].jpg", "photo[1].tacit"]


def test_a_file_that_is_named_twice_is_encoded_once(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "./a.jpg", "*.jpg"]) == 0
    assert len(fake.calls) == 1


def test_nothing_is_overwritten_without_force(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    Path("a.tacit").write_text("precious")
    assert cli.main(["encode", "a.jpg"]) == 1
    assert Path("a.tacit").read_text() == "precious"
    assert fake.calls == [], "nothing is encoded that cannot be written"
    assert capsys.readouterr().err == "tacit: a.jpg: a.tacit is there already (-f/--force overwrites it)\n"
    assert cli.main(["encode", "a.jpg", "-f"]) == 0
    assert Path("a.tacit").read_bytes().startswith(MAGIC)


def test_a_file_that_appears_meanwhile_is_not_overwritten(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    fake.before = lambda *_: Path("a.tacit").write_text("precious")
    assert cli.main(["encode", "a.jpg"]) == 1
    assert Path("a.tacit").read_text() == "precious"
    assert tree() == ["a.jpg", "a.tacit"]


def test_two_inputs_never_share_an_output(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    make_image("a.png")
    assert cli.main(["encode", "a.jpg", "a.png", "-f"]) == 1
    assert len(fake.calls) == 1
    assert "tacit: a.png: would be written to a.tacit, as a.jpg is\n" in capsys.readouterr().err


def test_a_file_is_never_written_over_itself(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    before = make_image("photo", format="JPEG").read_bytes()
    assert cli.main(["encode", "photo", "-o", "./photo", "--force"]) == 1
    assert cli.main(["decode", "photo", "-o", "./photo", "--force"]) == 1
    assert Path("photo").read_bytes() == before
    assert capsys.readouterr().err.count("would be written over itself") == 2


def test_another_kind_of_file_by_mistake_is_named(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.png")
    assert cli.main(["decode", "a.png"]) == 1
    assert "tacit: a.png: not a .tacit file by its name, and would" in capsys.readouterr().err
    Path("a.tacit").write_bytes(MAGIC)
    assert cli.main(["encode", "a.tacit"]) == 1
    assert "tacit: a.tacit: not an image by its name, and would" in capsys.readouterr().err
    assert fake.calls == []


def test_a_tacit_file_is_not_written_under_an_images_name(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "-o", "b.JPG"]) == 2
    assert fake.calls == []
    Path("b.jpg").mkdir()
    assert cli.main(["encode", "a.jpg", "-o", "b.jpg"]) == 0
    assert cli.main(["encode", "a.jpg", "-o", "b.v2"]) == 0
    assert tree() == ["a.jpg", "b.jpg/a.tacit", "b.v2"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode"],
        ["encode", "a.jpg", "-q", "101"],
        ["encode", "a.jpg", "-q", "nan"],
        ["encode", "a.jpg", "-q", "50", "--bpp", "0.3"],
        ["encode", "a.jpg", "--size", "60kB", "--psnr", "34"],
        ["encode", "a.jpg", "--size", "0"],
        ["encode", "a.jpg", "--size", "60xB"],
        ["encode", "a.jpg", "--bpp", "0"],
        ["encode", "a.jpg", "--psnr", "inf"],
        ["encode", "a.jpg", "--psnr", "nan"],
        ["encode", "a.jpg", "--no-caption", "-c", "a boat"],
        ["encode", "a.jpg", "--no-caption", "--store-caption"],
        ["encode", "a.jpg", "-m", "unknown"],
        ["encode", "a.jpg", "-j", "0"],
        ["encode", "a.jpg", "--json", "-o", "-"],
        ["encode", "a.jpg", "b.jpg", "-o", "-"],
        ["encode", "a.jpg", "b.jpg", "-o", "both.tacit"],
        ["encode", "a.jpg", "b.jpg", "-o", "b.jpg"],
        ["decode", "a.tacit", "--crop", "1,2,3"],
        ["decode", "a.tacit", "--crop", "1,2,0,4"],
        ["decode", "a.tacit", "-o", "a.docx"],
        ["decode", "a.tacit", "--format", "docx"],
        ["unknown"],
    ],
)
def test_wrong_usage_is_status_2(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    Path("a.tacit").write_bytes(MAGIC)
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert "Error: " in said.err or "Usage: " in said.err
    assert said.out == ""
    assert fake.calls == []


# What is asked of the codec


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"quality": 50}),
        (["-q", "12.5"], {"quality": 12.5}),
        (["--size", "60kB"], {"size": 60_000}),
        (["--size", "60 KiB"], {"size": 61_440}),
        (["--size", "1.5MB"], {"size": 1_500_000}),
        (["--size", "2k"], {"size": 2000}),
        (["--size", "60000"], {"size": 60_000}),
        (["--bpp", "0.3"], {"bpp": 0.3}),
        (["--psnr", "34"], {"psnr": 34.0}),
        (["--store-caption"], {"store_caption": True}),
        (["--no-metadata"], {"keep_metadata": False}),
    ],
)
def test_options_reach_the_codec(fake: type[FakeCodec], arguments: list[str], expected: dict[str, Any]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", *arguments]) == 0
    defaults = {"caption": None, "quality": 50, "store_caption": False, "keep_metadata": True}
    assert fake.calls == [defaults | expected]


def test_crop_and_salvage_reach_the_codec(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg"]) == 0
    assert cli.main(["decode", "a.tacit", "--crop", "1,2,3,2", "--salvage"]) == 0
    assert fake.calls[-1] == {"box": (1, 2, 4, 4), "salvage": True}
    with Image.open("a.png") as image:
        assert image.size == (3, 2)


def test_model_device_and_threads_reach_the_codec(fake: type[FakeCodec], monkeypatch: pytest.MonkeyPatch) -> None:
    make_image("a.jpg")
    monkeypatch.setattr(cli.photos, "cores", lambda: 8)
    assert cli.main(["encode", "a.jpg"]) == 0
    assert cli.main(["encode", "a.jpg", "-f", "-m", "taco", "--device", "cuda", "--threads", "3"]) == 0
    assert cli.main(["encode", "a.jpg", "-f", "-j", "3"]) == 0
    assert fake.made == [
        {"model": "tacit-s", "device": "cpu", "threads": None},
        {"model": "taco", "device": "cuda", "threads": 3},
        {"model": "tacit-s", "device": "cpu", "threads": 2},
    ]


@pytest.mark.parametrize(
    ("output", "written"), [("new.v2/", "new.v2/a.png"), ("old.jpg", "old.jpg/a.jpg"), ("bare", "bare")]
)
def test_a_folder_may_have_a_dot_in_its_name(fake: type[FakeCodec], output: str, written: str) -> None:
    Path("a.tacit").write_bytes(MAGIC + make_image("a.jpg", format="PNG").read_bytes())
    Path("old.jpg").mkdir()
    assert cli.main(["decode", "a.tacit", "-o", output]) == 0
    assert tree() == sorted(["a.jpg", "a.tacit", written])


def test_where_captions_come_from(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    exif = Image.Exif()
    exif[270] = "from metadata"  # ImageDescription
    make_image("in/a.jpg", exif=exif)
    Path("map.json").write_text('{"in/a.jpg": "from the map"}')

    def caption(*arguments: str) -> tuple[object, object]:
        assert cli.main(["encode", "in/a.jpg", "-f", "--json", *arguments]) == 0
        (record,) = records(capsys.readouterr().out)
        assert record["caption"] == fake.calls[-1]["caption"]
        return record["caption"], record["caption_from"]

    assert caption() == ("from metadata", "metadata")
    assert caption("--no-metadata") == (None, None)
    Path("in/a.txt").write_text("from the sidecar")
    assert caption() == ("from the sidecar", "sidecar")
    assert caption("--captions", "map.json") == ("from the map", "map")
    assert caption("--captions", "map.json", "-c", "from me") == ("from me", "given")
    assert caption("--no-caption") == (None, None)


@pytest.mark.parametrize("text", ["x" * 65_536, "a\x07b", "a\udcffb"])
def test_a_caption_that_cannot_be_used_is_one_line(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], text: str
) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "-c", text]) == 1
    error = capsys.readouterr().err
    assert error.startswith("tacit: a.jpg: caption must have ")
    assert error.count("\n") == 1
    assert fake.calls == []


def test_a_map_that_cannot_be_read_stops_everything(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "--captions", "map.json"]) == 1
    assert capsys.readouterr().err == "tacit: map.json: cannot be read: No such file or directory\n"
    assert fake.made == []


@pytest.mark.parametrize(
    ("name", "content"), [("map.csv", "image,caption\na.jpg,a boat\n"), ("map.json", "[3]"), ("map.txt", "")]
)
def test_a_map_that_is_none_is_wrong_usage(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    make_image("a.jpg")
    Path(name).write_text(content)
    assert cli.main(["encode", "a.jpg", "--captions", name]) == 2
    assert f"Error: {name}" in capsys.readouterr().err
    assert fake.made == []


def test_a_map_for_other_files_is_warned_of(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    Path("map.json").write_text('{"c.jpg": "a boat"}')
    assert cli.main(["encode", "a.jpg", "b.jpg", "--captions", "map.json", "--quiet"]) == 0
    warning = "tacit: warning: captions map.json have none for any of the files\n"
    assert capsys.readouterr().err == warning
    assert cli.main(["encode", "a.jpg", "-f", "--captions", "map.json", "-c", "given"]) == 0
    Path("map.json").write_text('{"b.jpg": "a boat"}')
    assert cli.main(["encode", "a.jpg", "b.jpg", "-f", "--captions", "map.json"]) == 0
    assert warning not in capsys.readouterr().err


# Batches and errors


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
    }  # fmt: skip
    assert bad == {"file": "b.jpg", "error": "not an image that Pillow reads", "kind": "InvalidInput"}


def test_quiet_says_only_what_went_wrong(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    make_image("b.jpg")
    assert cli.main(["encode", "a.jpg", "b.jpg", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_target_that_cannot_be_reached_is_said(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg", "--size", "50"]) == 1
    assert capsys.readouterr().err == "tacit: a.jpg: 50 bytes: the smallest is 321\n"
    assert tree() == ["a.jpg"]


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


def test_a_large_photo_is_no_reason_for_a_warning(
    fake: type[FakeCodec], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image("a.png", (10, 10))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    assert cli.main(["encode", "a.png"]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 49)
    assert cli.main(["encode", "a.png", "-f"]) == 1
    assert "exceeds limit of 98 pixels" in capsys.readouterr().err


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


# Interrupted


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


# Pipes


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
        super().__init__(raw if unbuffered else io.BufferedWriter(raw), "utf-8", write_through=unbuffered)  # type: ignore[type-var]


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
        cli.output.give_up(out)
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
        cli.output.give_up(out)
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


# Formats of decoded images


@pytest.mark.parametrize(
    ("suffix", "format"),
    [
        ("png", "PNG"),
        ("jpg", "JPEG"),
        ("webp", "WEBP"),
        ("avif", "AVIF"),
        ("tiff", "TIFF"),
        ("bmp", "BMP"),
        ("ppm", "PPM"),
    ],
)
def test_the_format_goes_by_the_suffix(fake: type[FakeCodec], suffix: str, format: str) -> None:
    make_image("a.png", (16, 16))
    assert cli.main(["encode", "a.png"]) == 0
    assert cli.main(["decode", "a.tacit", "-o", f"b.{suffix.upper()}"]) == 0
    with Image.open(f"b.{suffix.upper()}") as image:
        assert image.format == format
        assert image.size == (16, 16)


# The other commands


def test_info(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import tacit

    found = {b"good": ("mine", "taco"), b"no weights": (None, "taco"), b"new": (None, None)}

    @dataclass(frozen=True)
    class FileInfo:
        width: int
        bpp: float
        weights_hash: bytes
        caption: str | None
        model: str | None
        architecture: str | None

    def info(data: bytes) -> FileInfo:
        if data not in found:
            raise CorruptFile("not good")
        return FileInfo(6, 0.12345, b"\x01\xff", None, *found[data])

    monkeypatch.setattr(tacit, "info", info, raising=False)
    Path("a.tacit").write_bytes(b"good")
    Path("b.tacit").write_bytes(b"bad")
    assert cli.main(["info", "."]) == 1
    said = capsys.readouterr()
    lines = "a.tacit\n  width           6\n  bpp             0.1235\n  weights hash    01ff\n  model           "
    assert said.out == lines + "mine\n"
    assert said.err == "tacit: b.tacit: not good\ntacit: 1 of 2 files done, 1 failed\n"
    assert cli.main(["info", "--json", "a.tacit"]) == 0
    (record,) = records(capsys.readouterr().out)
    assert {k: record[k] for k in ("file", "width", "weights_hash")} == {
        "file": "a.tacit", "width": 6, "weights_hash": "01ff",
    }  # fmt: skip
    assert "output" not in record
    for content, model in (
        (b"no weights", "(taco, weights not on this machine)"),
        (b"new", "(of an unknown architecture, weights not on this machine)"),
    ):
        Path("a.tacit").write_bytes(content)
        assert cli.main(["info", "a.tacit"]) == 0
        assert capsys.readouterr().out == f"{lines}{model}\n"
    Path("a.tacit").write_bytes(b"no weights")
    assert cli.main(["info", "--json", "a.tacit"]) == 0
    (record,) = records(capsys.readouterr().out)
    assert (record["model"], record["architecture"]) == (None, "taco")


def test_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from tacit import weights

    def describe(path: Path) -> weights.WeightsInfo:
        if path.stem == "broken":
            raise CorruptWeights("broken: not a safetensors file")
        return weights.WeightsInfo(
            name=path.stem,
            path=path,
            architecture="small",
            decode_hash=bytes(8),
            variable_rate=True,
            size=123,
            card={"data": "photos", "steps": 7},
        )

    monkeypatch.setattr(weights, "available_models", lambda: ("broken", "mine"))
    monkeypatch.setattr(weights, "locate", Path)
    monkeypatch.setattr(weights, "describe", describe)
    assert cli.main(["models"]) == 1
    said = capsys.readouterr()
    assert said.err == "tacit: broken: not a safetensors file\n"
    assert said.out.startswith("mine\n  path            mine\n  architecture    small\n")
    assert said.out.endswith("  data            photos\n  steps           7\n")
    cli.main(["models", "--json"])
    (record,) = records(capsys.readouterr().out)
    assert (record["name"], record["weights_hash"], record["card"]["steps"]) == ("mine", "0" * 16, 7)


def test_import_taco(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import tacit

    def import_taco(path: str, out: str) -> None:
        Path(out).write_bytes(Path(path).read_bytes() * 2)

    module = types.ModuleType("tacit.weights")
    module.import_taco = import_taco  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tacit.weights", module)
    monkeypatch.setattr(tacit, "weights", module, raising=False)
    Path("checkpoint.pth.tar").write_bytes(b"w" * 600)
    assert cli.main(["import-taco", "checkpoint.pth.tar", "out.safetensors"]) == 0
    assert capsys.readouterr().out == "checkpoint.pth.tar -> out.safetensors  1.2 kB\n"
    assert cli.main(["import-taco", "checkpoint.pth.tar", "out.safetensors"]) == 1
    assert "out.safetensors is there already" in capsys.readouterr().err
    assert cli.main(["import-taco", "-f", "checkpoint.pth.tar", "out.safetensors"]) == 0
    assert cli.main(["import-taco", "checkpoint.pth.tar", "-o", "named.safetensors"]) == 0
    assert Path("named.safetensors").stat().st_size == 1200
    assert cli.main(["import-taco", "checkpoint.pth.tar"]) == 2
    assert cli.main(["import-taco", "checkpoint.pth.tar", "a.safetensors", "-o", "b.safetensors"]) == 2


def test_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    import tacit

    made: list[str] = []
    module = types.ModuleType("tacit.demo")
    module.run = made.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tacit.demo", module)
    monkeypatch.setattr(tacit, "demo", module, raising=False)
    assert cli.main(["demo", "-o", "page"]) == 0
    assert made == ["page"]


@pytest.mark.parametrize("name", ["encode", "decode", "info"])
def test_help_has_examples(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert cli.main([name, "--help"]) == 0
    assert "Examples:\n    tacit " in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from tacit.cli import main; main(['--help']); main(['encode', '--help'])\n"
        "assert not {'torch', 'numpy', 'PIL', 'tqdm'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)


# From end to end, with the real codec


@pytest.fixture
def real() -> None:
    pytest.importorskip("tacit.codec")


def noise(path: str, size: tuple[int, int]) -> None:
    Image.effect_noise(size, 40).convert("RGB").save(path)


def tacit(arguments: Sequence[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "tacit", *arguments], input=data, capture_output=True, timeout=120)


@pytest.mark.usefixtures("real")
def test_there_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    noise("in/a.png", (70, 50)) if Path("in").is_dir() else (Path("in").mkdir(), noise("in/a.png", (70, 50)))
    noise("in/b.png", (33, 65))
    assert cli.main(["encode", "in", "-o", "out", "-c", "grey noise", "--store-caption", "--json", "-q", "30"]) == 0
    first, second = records(capsys.readouterr().out)
    assert (first["width"], first["height"], first["quality"]) == (70, 50, 30)
    assert cli.main(["info", "--json", "out"]) == 0
    info = records(capsys.readouterr().out)
    assert [i["caption"] for i in info] == ["grey noise", "grey noise"]
    assert [i["bytes"] for i in info] == [first["bytes"], second["bytes"]]
    assert cli.main(["decode", "out", "-o", "back", "-j", "2"]) == 0
    with Image.open("back/b.png") as image:
        assert image.size == (33, 65)


@pytest.mark.usefixtures("real")
def test_pipes_through_processes() -> None:
    noise("a.png", (70, 50))
    encoded = tacit(["encode", "-", "--quiet"], Path("a.png").read_bytes())
    assert (encoded.returncode, encoded.stderr) == (0, b"")
    decoded = tacit(["decode", "-", "--quiet"], encoded.stdout)
    assert (decoded.returncode, decoded.stderr) == (0, b"")
    with Image.open(io.BytesIO(decoded.stdout)) as image:
        assert image.size == (70, 50)


@pytest.mark.usefixtures("real")
def test_info_imports_nothing_heavy() -> None:
    noise("a.png", (70, 50))
    assert cli.main(["encode", "a.png"]) == 0
    script = (
        "import sys; from tacit.cli import main; assert main(['info', 'a.tacit']) == 0\n"
        "assert not {'torch', 'numpy'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)


@pytest.mark.usefixtures("real")
def test_bad_files_end_in_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    noise("a.png", (70, 50))
    assert cli.main(["encode", "a.png"]) == 0
    data = Path("a.tacit").read_bytes()
    Path("cut.tacit").write_bytes(data[:-5])
    Path("flipped.tacit").write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    Path("foreign.tacit").write_bytes(Path("a.png").read_bytes())
    Path("empty.tacit").write_bytes(b"")
    capsys.readouterr()
    assert (
        cli.main(["decode", "a.tacit", "cut.tacit", "flipped.tacit", "foreign.tacit", "empty.tacit", "-o", "out"]) == 1
    )
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines[:-1]] == [
        "cut.tacit", "flipped.tacit", "foreign.tacit", "empty.tacit",
    ]  # fmt: skip
    assert "unexpected" not in "".join(lines)
    assert lines[-1] == "tacit: 1 of 5 files done, 4 failed"
    assert tree("out") == ["a.png"]
