"""Maps over the image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.page import (
    MINUS,
    Visit,
    canvas_pixels,
    delay,
    expect,
    open_page,
    wait_for_frame,
)
from tacit.codec import DEFAULT_STEER

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_where_the_bits_went(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    plain = canvas_pixels(page)
    note, legend = page.locator("#bits-note"), page.locator("#legend")
    page.get_by_role("radio", name="With caption").check()
    expect(legend).to_be_visible()
    expect(note).to_contain_text("with the caption")
    warm = canvas_pixels(page)
    assert warm != plain
    page.get_by_role("radio", name="Change").check()
    expect(page.locator("#legend-low")).to_contain_text(MINUS)
    expect(note).to_contain_text("without")
    assert canvas_pixels(page) not in (warm, plain)
    page.get_by_role("radio", name="Off").check()
    expect(legend).to_be_hidden()
    wait_for_frame(page)
    assert canvas_pixels(page) == plain


def test_a_map_that_comes_too_late_is_not_shown(
    visit: Visit, image_file: Path, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(visit, image_file)
    delay(monkeypatch, app, "run_in_background", 0.5)
    with page.expect_response("**/bits"):
        page.get_by_role("radio", name="With caption").check()
        expect(page.locator("#status")).to_have_text("Counting bits")
        page.get_by_role("radio", name="Off").check()
    expect(page.locator("#status")).to_have_text("")
    expect(page.locator("#legend")).to_be_hidden()


def test_a_caption_steers_and_what_it_names_is_shown(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    assert (
        float(page.locator("#steer").input_value())
        == float(page.locator("#steer-number").input_value())
        == DEFAULT_STEER
    )
    page.get_by_role("radio", name="Named").check()
    expect(page.locator("#legend-low")).to_have_text(re.compile(f"quality {MINUS}\\d"))
    usual = int(page.locator("#legend-high").inner_text())
    page.locator("#steer-number").fill("90")
    expect(page.locator("#legend-high")).not_to_have_text(f"+{usual}")
    assert int(page.locator("#legend-high").inner_text()) > usual
    page.locator("#steer-number").fill("0")
    expect(page.locator("#legend")).to_be_hidden()
    expect(page.locator("#bits-note")).to_contain_text("every place has the same quality")
