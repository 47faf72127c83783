"""The demo: the page stands on its own, and what it says of the files is what they are."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

import tacit
from tacit.demo.caption_effect import BPP, CaptionedFile, CaptionEffect, caption_effect
from tacit.demo.comparison import CodecFile, EqualSizeFiles, ImageComparison
from tacit.demo.page import make_page, render
from tacit.demo.samples import SAMPLES, SampleImage, sample_image
from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.codecs.pillow import decode_image
from tacit.evaluation.codecs.pillow_formats import BASELINES
from tacit.image.psnr import psnr


class Links(HTMLParser):
    """All that a page refers to, and its unclosed elements."""

    VOID = frozenset({"img", "input", "meta", "link", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def small_image(name: str) -> Image.Image:
    """A sample image at a third of its size: AVIF encodes slowly."""
    image = sample_image(name)
    return image.resize((image.width // 3, image.height // 3), Image.Resampling.LANCZOS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("skimage")
    if not tacit.available_models() or not features.check("avif"):
        pytest.skip("no weights, or no AVIF")
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tacit.demo.page.sample_image", small_image)
        page = make_page(out, samples=SAMPLES[1:2], qualities=(60, 5), say=lines.append)
    assert page == out / "index.html"
    assert lines[-1] == f"The page: {page.resolve().as_uri()}"
    assert len(lines) == 6
    return page


@pytest.mark.slow
def test_the_page_refers_only_to_files_beside_it(made: Path) -> None:
    text = made.read_text()
    links = Links(text)
    assert not links.open
    for link in links.found:
        assert link == "data:," or (made.parent / link).is_file(), link
    assert not re.search(r"https?:|@import|url\(", text)
    written = {p.relative_to(made.parent).as_posix() for p in made.parent.rglob("*") if p.is_file()}
    assert written == {*links.found, "index.html"} - {"data:,"}


@pytest.mark.slow
def test_files_decode_to_what_is_shown_and_said(made: Path) -> None:
    original = np.asarray(small_image("chelsea"))
    text = made.read_text()
    for quality in (5, 60):
        path = made.parent / f"chelsea/q{quality}.tacit"
        assert tacit.info(path).quality == quality
        decoded = np.asarray(tacit.decode(path)).astype(int)
        shown = np.asarray(Image.open(f"{path}.png")).astype(int)
        assert np.abs(shown - decoded).max() <= 3  # float noise of the synthesis, at most
        limit = path.stat().st_size
        assert f"{limit:,} bytes" in text
        for codec in BASELINES.values():
            data = path.with_suffix(f".{codec.suffix}").read_bytes()
            too_large = f"{len(data):,} bytes: its smallest file" in text
            assert (len(data) > limit) == too_large
            assert f"{psnr(np.asarray(decode_image(data)), original):.2f} dB" in text


def _file(codec: str, size: int, psnr: float, too_large: bool = False) -> CodecFile:
    return CodecFile(
        codec=codec,
        file=f"x/{codec}.bin",
        image=f"x/{codec}.png",
        size=size,
        bpp=size / 1000,
        psnr=psnr,
        quality=50,
        encode_seconds=0.01,
        decode_seconds=0.02,
        too_large=too_large,
    )


def test_a_codec_that_cannot_get_so_small_is_marked_and_is_never_the_best() -> None:
    row = EqualSizeFiles(50, (_file("tacit", 1000, 30.0), _file("JPEG", 1500, 40.0, True), _file("WebP", 990, 29.0)))
    sample = SampleImage("x", 'a "quoted" <caption> & more', (0, 0, 10))
    text = render([ImageComparison(sample, 40, 30, (row,) * 3)])
    assert "1,500 bytes: its smallest file, 50% larger than that of tacit" in text
    assert "1 of 1 too large" in text
    assert "<strong>30.00 dB</strong>" in text
    assert "<strong>40.00 dB</strong>" not in text
    assert "<caption>" not in text


def _captioned(name: str, psnr: float) -> CaptionedFile:
    return CaptionedFile(f"x/{name}.tacit", f"x/{name}.png", 900, psnr)


def test_the_front_has_all_codecs_under_the_divider_and_what_the_caption_gains() -> None:
    row = EqualSizeFiles(50, (_file("tacit", 1000, 30.0), _file("JPEG", 1500, 20.0, True), _file("WebP", 990, 29.0)))
    sample = SampleImage("x", "a <thing>", (0, 0, 10), phrase="the <thing>")
    effect = CaptionEffect(sample, 40, _captioned("no-caption", 26.0), _captioned("caption", 27.5))
    front = render([ImageComparison(sample, 40, 30, (row,))], effect).split("</header>")[0]
    assert front.count('class="cover"') == 4
    assert front.count('class="cover" hidden') == 2
    assert 'src="x/original.png" alt="the original"' in front
    assert "<b>the original</b> 3,600 bytes" in front
    assert front.count('type="range"') == 2
    assert "<b>JPEG</b> 1,500 bytes, its smallest file" in front
    assert "+1.5 dB" in front
    assert "the <thing>" not in front
    assert render([ImageComparison(sample, 40, 30, (row,))]).count('type="range"') == 1


@pytest.mark.slow
def test_both_files_of_the_caption_have_one_size_and_the_named_part_is_better(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    if not tacit.available_models():
        pytest.skip("no weights")
    image = sample_image("astronaut").crop((100, 0, 356, 256))
    sample = SampleImage("face", "", (40, 40, 136), phrase="the woman's face")
    found = caption_effect(tacit.Codec(finder="core"), sample, image, tmp_path)
    limit = BPP * image.width * image.height / 8
    assert 0.9 * limit < found.plain.size <= limit
    assert 0.9 * limit < found.named.size <= limit
    assert (tmp_path / found.named.file).stat().st_size == found.named.size
    assert found.named.detail_psnr > found.plain.detail_psnr + 0.2


def test_only_the_best_mean_in_the_table_is_bold() -> None:
    row = EqualSizeFiles(50, (_file("tacit", 1000, 28.0), _file("JPEG", 1500, 40.0, True), _file("WebP", 990, 29.0)))
    text = render([ImageComparison(SampleImage("x", "", (0, 0, 10)), 40, 30, (row,))])
    table = text[text.index("<table>") : text.index("</table>")]
    assert re.findall("<strong>(.*?)</strong>", table) == ["29.00 dB"]
    for rule in re.findall(r"^td.*?}", text, re.MULTILINE):
        assert not re.search("font-weight: ([5-9]|bold)", rule)


def test_a_page_of_no_images_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one image"):
        render([])


def test_without_scikit_image_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtra, match=r"tacit\[demo\]"):
        make_page(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
