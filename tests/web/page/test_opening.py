"""Opening and downloading: photos, samples and `.tacit` files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.page import (
    CAPTION,
    PATIENCE,
    Visit,
    canvas_pixels,
    delay,
    drop,
    expect,
    file_size,
    open_page,
    press_quality,
    wait_until_settled,
)
from support.pictures import synthetic
from tacit.codec import Codec
from tacit.container import SIGNATURE

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_photograph_is_sent_and_the_slider_moves_its_encoding(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    expect(page.locator("#caption")).to_have_value(CAPTION)
    expect(page.locator("#image-name")).to_have_text("lake.png")
    middle = file_size(page)
    latency = float(page.locator("#f-latency").get_attribute("data-ms"))
    assert 0 < latency < PATIENCE
    press_quality(page, "End")
    assert file_size(page) > middle
    assert page.locator("#quality-number").input_value() == "100"
    best = canvas_pixels(page)
    press_quality(page, "Home")
    assert file_size(page) < middle
    assert canvas_pixels(page) != best
    expect(page.locator("#announcement")).to_contain_text("Quality 0")
    assert re.fullmatch(r"\d+\.\d\d dB", page.locator("#f-psnr").inner_text())
    assert float(page.locator("#f-bpp").inner_text()) == pytest.approx(8 * file_size(page) / (208 * 144), abs=1e-3)


def test_a_photograph_is_pasted(visit: Visit, image_file: Path) -> None:
    page = visit()
    drop(page, "image.png", image_file.read_bytes(), "paste")
    wait_until_settled(page)
    page.get_by_role("button", name="Another photo").click()
    expect(page.locator("#start")).to_be_visible()


def test_samples(visit: Visit) -> None:
    pytest.importorskip("skimage")
    page = visit()
    sample = page.get_by_role("button", name="a close-up of a tabby cat")
    sample.click()
    wait_until_settled(page)
    expect(page.locator("#caption")).to_have_value("a close-up of a tabby cat with green eyes")


def test_large_photographs_are_reduced_and_say_so(visit: Visit, tmp_path: Path) -> None:

    path = tmp_path / "large.jpg"
    Image.fromarray(synthetic(240, 160)).resize((2100, 1400)).save(path, quality=60)
    page = open_page(visit, path)
    note = page.locator("#image-note")
    expect(note).to_contain_text(re.compile("2100.1400 pixels. .* 1732.1155"))
    with page.expect_request(lambda r: "/preview/images?" in r.url and "pixels=" not in r.url):
        note.get_by_role("button", name="Use all pixels").click()
    expect(note).to_be_hidden()


def test_nothing_is_downloaded_before_it_is_there(
    visit: Visit, image_file: Path, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(visit, image_file)
    expect(page.locator("#download")).to_be_enabled()
    delay(monkeypatch, app, "run_near", 0.5)
    with page.expect_response("**/encode"):
        page.set_input_files("#pick", image_file)
        expect(page.locator("#f-bytes")).to_have_text("\N{EN DASH}")
        expect(page.locator("#download")).to_be_disabled()
    expect(page.locator("#download")).to_be_enabled()


def test_a_download_decodes_and_can_be_dropped(visit: Visit, image_file: Path, tmp_path: Path, codec: Codec) -> None:
    page = open_page(visit, image_file)
    before = page.locator("#f-bytes").get_attribute("title")
    page.locator("#caption").fill("another caption")
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", before)
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "lake.tacit"
    data = Path(download.value.path()).read_bytes()
    assert len(data) == file_size(page)
    image = codec.decode(data)
    assert image.size == (208, 144)
    assert image.info["caption"] == "another caption"
    drop(page, "lake.tacit", data)
    expect(page.locator("#file-caption")).to_have_text("another caption")
    expect(page.locator("#header")).to_contain_text(re.compile("208 . 144 pixels"))
    expect(page.locator("#header")).to_contain_text("Quality50")
    expect(page.get_by_role("slider", name="Divider")).to_be_hidden()
    with page.expect_download() as download:
        page.locator("#download").click()
    with Image.open(download.value.path()) as shown:
        assert shown.format == "PNG"
        difference = np.asarray(shown.convert("RGB")).astype(int) - np.asarray(image)
        assert np.abs(difference).max() <= 3  # the service may work in bf16


def test_a_caption_may_stay_out_of_the_file(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    before = file_size(page)
    page.get_by_label("Keep it in the file").uncheck()
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", f"{before:,} bytes")
    assert before - len(CAPTION) - 16 < file_size(page) < before - len(CAPTION) + 1


def test_what_cannot_be_used_is_said(visit: Visit, tmp_path: Path) -> None:
    page = visit(statuses=(415, 413, 422))
    alert = page.get_by_role("alert")
    drop(page, "notes.txt", b"no picture at all")
    expect(alert).to_contain_text("not an image")
    alert.get_by_role("button").click()
    expect(alert).to_be_hidden()
    drop(page, "huge.png", 1_000_001)
    expect(alert).to_contain_text("at most 1000000 bytes")
    page.keyboard.press("Escape")
    expect(alert).to_be_hidden()
    drop(page, "broken", SIGNATURE + b"\x01nothing")
    expect(alert).to_be_visible()
    expect(page.locator("#start")).to_be_visible()


def test_what_is_shown_stays_when_something_cannot_be_opened(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file, statuses=(415,))
    drop(page, "notes.txt", b"no picture at all")
    expect(page.get_by_role("alert")).to_contain_text("not an image")
    expect(page.locator("#image-name")).to_have_text("lake.png")
    press_quality(page, "End")
