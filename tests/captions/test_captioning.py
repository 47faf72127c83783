"""Runs of a captioner over images."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tacit.captions import AnswerCache, CaptionFile, Captioning, find_images
from tacit.captions.captioning import _upright_rgb

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")

from support.caption_files import rows, save
from support.image_files import profile, saved


class Fixed:
    """A captioner that is always of the same opinion."""

    model = "fixed"
    settings: dict[str, str | int] = {"model": "fixed"}  # noqa: RUF012

    def __call__(self, image: Image.Image) -> str:
        return f"{image.mode} {image.width}x{image.height}"

    def stop(self) -> None:
        pass


def test_a_cache_that_cannot_be_written_costs_no_caption(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    path = save(tmp_path / "one.png")
    with CaptionFile(tmp_path / "c.jsonl") as written:
        captioning = Captioning(Fixed(), written, AnswerCache(tmp_path / "cache"))
        (picture,) = find_images([str(path)])
        with pytest.warns(UserWarning, match="the answer is not cached"):
            captioning(picture)
    assert rows(tmp_path / "c.jsonl") == {"one.png": "RGB 96x64"}


def test_models_see_images_as_people_do(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    file = io.BytesIO()
    Image.new("L", (40, 20), 77).save(file, "JPEG", exif=exif)
    turned = _upright_rgb(file.getvalue())
    assert (turned.mode, turned.size) == ("RGB", (20, 40))
    half = save(tmp_path / "half.png", (200, 0, 0, 0))
    assert _upright_rgb(half.read_bytes()).getpixel((3, 3)) == (255, 255, 255)
    wide = saved(Image.new("RGB", (4, 4), (60, 200, 60)), icc_profile=profile("RGB ", 2.2))
    assert _upright_rgb(wide).getpixel((3, 3)) == pytest.approx((0, 201, 37), abs=2)


def test_an_image_with_large_texts_is_work_like_others(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("notes", "x" * 2_000_000, zip=True)
    (tmp_path / "one.png").write_bytes(saved(Image.new("RGB", (40, 20)), pnginfo=texts))
    with CaptionFile(tmp_path / "c.jsonl") as written:
        work = Captioning(Fixed(), written, None).remaining_work(find_images([str(tmp_path / "one.png")]))
    assert (work.sizes, work.unreadable) == (((40, 20),), 0)
