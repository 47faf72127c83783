"""The demo: the page stands on its own, and what it says of the files is what they are."""

from __future__ import annotations

import io
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

import tacit
from tacit import demo
from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.baselines import BASELINES, decode, largest_within
from tacit.evaluation.metrics import psnr

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("skimage")
    if not tacit.available_models() or not features.check("avif"):
        pytest.skip("no weights, or no AVIF")
    out = tmp_path_factory.mktemp("demo") / "new" / "folder"
    lines: list[str] = []
    page = demo.run(out, samples=demo.SAMPLES[1:2], qualities=(60, 5), say=lines.append)
    assert page == out / "index.html"
    assert lines[-1] == f"The page: {page.resolve().as_uri()}"
    assert len(lines) == 4
    return page


def test_the_page_refers_only_to_files_beside_it(made: Path) -> None:
    text = made.read_text()
    links = Links(text)
    assert not links.open
    for link in links.found:
        assert link == "data:," or (made.parent / link).is_file(), link
    assert not re.search(r"https?:|@import|url\(", text)
    written = {p.relative_to(made.parent).as_posix() for p in made.parent.rglob("*") if p.is_file()}
    assert written == {*links.found, "index.html"} - {"data:,"}


def test_files_decode_to_what_is_shown_and_said(made: Path) -> None:
    original = np.asarray(demo.photograph("chelsea"))
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
            assert f"{psnr(np.asarray(decode(data)), original):.2f} dB" in text


def _shown(codec: str, size: int, fidelity: float, over: bool = False) -> demo.Shown:
    return demo.Shown(codec, f"x/{codec}.bin", f"x/{codec}.png", size, size / 1000, fidelity, "s", 0.01, 0.02, over)


def test_a_codec_that_cannot_get_so_small_is_said_to_be_larger_and_is_never_the_best() -> None:
    shown = (_shown("tacit", 1000, 30.0), _shown("JPEG", 1500, 40.0, over=True), _shown("WebP", 990, 29.0))
    sample = demo.Sample("x", 'a "quoted" <caption> & more', (0, 0, 10))
    text = demo.page([demo.Exhibit(sample, 40, 30, (demo.Row(50, shown),) * 3)])
    assert "1,500 bytes: its smallest file, 50% larger than that of tacit" in text
    assert "1 of 1 too large" in text
    assert "<strong>30.00 dB</strong>" in text
    assert "<strong>40.00 dB</strong>" not in text
    assert "<caption>" not in text


def test_only_the_best_mean_in_the_table_is_bold() -> None:
    shown = (_shown("tacit", 1000, 28.0), _shown("JPEG", 1500, 40.0, over=True), _shown("WebP", 990, 29.0))
    text = demo.page([demo.Exhibit(demo.Sample("x", "", (0, 0, 10)), 40, 30, (demo.Row(50, shown),))])
    table = text[text.index("<table>") : text.index("</table>")]
    assert re.findall("<strong>(.*?)</strong>", table) == ["29.00 dB"]
    for rule in re.findall(r"^td.*?}", text, re.MULTILINE):
        assert not re.search("font-weight: ([5-9]|bold)", rule)


@needs_avif
@pytest.mark.parametrize("codec", BASELINES.values(), ids=lambda c: c.name)
def test_the_search_finds_the_largest_file_that_fits(codec: demo.Baseline) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC)
    sizes = {q: len(codec.encode(image, q)) for q in (codec.lowest, 40, 41)}
    quality, data = largest_within(codec, lambda q: codec.encode(image, q), sizes[40])
    assert quality >= 40
    assert len(data) <= sizes[40]
    assert data == codec.encode(image, quality)
    least = largest_within(codec, lambda q: codec.encode(image, q), 10)
    assert least == (codec.lowest, codec.encode(image, codec.lowest))


def test_psnr() -> None:
    black = np.zeros((4, 5, 3), np.uint8)
    assert psnr(black, black) == math.inf
    assert psnr(black, black + np.uint8(255)) == pytest.approx(0)
    assert psnr(black + np.uint8(10), black) == pytest.approx(28.1308, abs=1e-4)
    with pytest.raises(InvalidInput, match="PSNR of"):
        psnr(black, np.zeros((4, 5, 1), np.uint8))


def test_without_scikit_image_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtra, match=r"tacit\[demo\]"):
        demo.run(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_baselines_write_what_they_say() -> None:
    image = Image.linear_gradient("L").convert("RGB")
    with Image.open(io.BytesIO(BASELINES["JPEG"].encode(image, 50))) as jpeg:
        assert jpeg.format == "JPEG"
        assert jpeg.info["progressive"]
    assert BASELINES["JPEG"].setting == "optimize, progressive"
    assert BASELINES["WebP"].setting == "method 6"
