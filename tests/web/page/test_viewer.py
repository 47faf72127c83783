"""The divider, zoom and pan."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.page import (
    Visit,
    canvas_pixels,
    expect,
    open_page,
    wait_for_frame,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_divider_by_mouse_and_by_keyboard(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    divider = page.get_by_role("slider", name="Divider")
    expect(divider).to_have_attribute("aria-valuenow", "50")
    box = divider.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=3)
    page.mouse.up()
    moved = int(divider.get_attribute("aria-valuenow"))
    assert moved > 50
    before = canvas_pixels(page)
    divider.press("ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", str(moved - 2))
    divider.press("Shift+ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", str(moved - 12))
    wait_for_frame(page)
    assert canvas_pixels(page) != before
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuenow", "0")
    divider.press("End")
    expect(divider).to_have_attribute("aria-valuenow", "100")
    expect(divider).to_have_attribute("aria-valuetext", re.compile("100 %"))


def test_zoom_and_pan(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    level = page.locator("#zoom-level")
    fitting = level.inner_text()
    page.get_by_role("button", name="Zoom in").click()
    expect(level).not_to_have_text(fitting)
    stage = page.locator("#stage")
    stage.focus()
    before = canvas_pixels(page)
    stage.press("ArrowRight")
    wait_for_frame(page)
    assert canvas_pixels(page) != before
    stage.press("0")
    expect(level).to_have_text(fitting)
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.wheel(0, -400)
    expect(level).not_to_have_text(fitting)
