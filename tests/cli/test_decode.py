"""`tacit decode`: parts of images, and the formats of files. The codec is a fake."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from support.command_line import make_image, tree
from support.fake_codec import MAGIC, FakeCodec
from tacit import cli

pytestmark = pytest.mark.usefixtures("folder")


def test_crop_and_salvage_reach_the_codec(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg"]) == 0
    assert cli.main(["decode", "a.tacit", "--crop", "1,2,3,2", "--salvage"]) == 0
    assert fake.calls[-1] == {"box": (1, 2, 4, 4), "salvage": True}
    with Image.open("a.png") as image:
        assert image.size == (3, 2)


def test_the_most_pixels_along_a_side_reach_the_codec(fake: type[FakeCodec]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg"]) == 0
    assert cli.main(["decode", "a.tacit", "--max-side", "256", "--preview", "50%"]) != 2
    assert fake.calls[-1] == {"box": None, "salvage": False, "partial": True, "max_side": 256}
    assert cli.main(["decode", "a.tacit", "--max-side", "0"]) == 2


def test_what_no_share_is(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.jpg")
    assert cli.main(["encode", "a.jpg"]) == 0
    for share in ("0", "0%", "101%", "1.5", "-1", "half"):
        assert cli.main(["decode", "a.tacit", "--preview", share]) == 2
        assert f"must be above 0 and at most 1, such as 25% or 0.25, got '{share}'" in " ".join(
            capsys.readouterr().err.split()
        )
    assert cli.main(["decode", "a.tacit", "--preview", "100%"]) == 0
    assert fake.calls[-1] == {"box": None, "salvage": False, "partial": True}


@pytest.mark.parametrize(
    ("output", "written"), [("new.v2/", "new.v2/a.png"), ("old.jpg", "old.jpg/a.jpg"), ("bare", "bare")]
)
def test_a_folder_may_have_a_dot_in_its_name(fake: type[FakeCodec], output: str, written: str) -> None:
    Path("a.tacit").write_bytes(MAGIC + make_image("a.jpg", format="PNG").read_bytes())
    Path("old.jpg").mkdir()
    assert cli.main(["decode", "a.tacit", "-o", output]) == 0
    assert tree() == sorted(["a.jpg", "a.tacit", written])


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


def test_a_format_and_another_suffix_are_refused(fake: type[FakeCodec], capsys: pytest.CaptureFixture[str]) -> None:
    make_image("a.png", (16, 16))
    assert cli.main(["encode", "a.png"]) == 0
    assert cli.main(["decode", "a.tacit", "-o", "b.webp", "--format", "tiff"]) == 2
    assert "must be that of --format tiff, got b.webp" in capsys.readouterr().err
    assert not Path("b.webp").exists()
    assert cli.main(["decode", "a.tacit", "-o", "b.jpeg", "--format", "jpg"]) == 0
    assert cli.main(["decode", "a.tacit", "-o", "b.data", "--format", "tiff"]) == 0
    assert cli.main(["decode", "a.tacit", "-o", "folder.webp/", "--format", "tiff"]) == 0


@pytest.mark.parametrize("option", [[], ["--no-metadata"]])
def test_metadata_can_be_left_out(fake: type[FakeCodec], option: list[str]) -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    Image.new("RGB", (8, 8)).save("source.png", exif=exif)
    Path("a.tacit").write_bytes(MAGIC + Path("source.png").read_bytes())
    assert cli.main(["decode", "a.tacit", "-o", "b.png", *option]) == 0
    with Image.open("b.png") as image:
        assert dict(image.getexif()) == ({} if option else {271: "Maker"})
