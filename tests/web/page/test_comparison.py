"""Other codecs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.page import (
    Visit,
    becomes,
    canvas_pixels,
    expect,
    file_size,
    open_page,
    press_quality,
    wait_until_settled,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_other_codecs_at_as_many_bytes(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    press_quality(page, "End")
    wait_until_settled(page)
    own = canvas_pixels(page)
    page.get_by_role("tab", name="JPEG").click()
    expect(page.locator("#remark")).to_contain_text("JPEG at quality")
    assert page.locator("#right-tag").inner_text().startswith("JPEG, ")
    limit = int(page.locator("#download").get_attribute("data-bytes"))
    assert file_size(page) <= limit
    assert becomes(page, lambda: canvas_pixels(page) != own)
    page.get_by_role("tab", name="JPEG").press("ArrowRight")
    expect(page.get_by_role("tab", name="WebP")).to_be_focused()
    expect(page.get_by_role("tab", name="WebP")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#remark")).to_contain_text("WebP")
    expect(page.locator("#f-bytes")).to_have_attribute("title", re.compile(r"\d"))
    assert file_size(page) <= limit
    beside = canvas_pixels(page)
    page.get_by_label("compare with tacit").check()
    expect(page.locator("#left-tag")).to_contain_text("tacit, ")
    assert becomes(page, lambda: canvas_pixels(page) != beside)
