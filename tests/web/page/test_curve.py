"""The curves."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.page import (
    Visit,
    expect,
    open_page,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_curve_is_drawn_and_can_be_stopped(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    run = page.locator("#curve-run")
    run.click()
    expect(page.locator("#curve .series.tacit circle").first).to_be_attached()
    run.click()
    expect(run).to_have_text("Continue")
    run.click()
    expect(run).to_be_hidden()
    for codec in ("tacit", "JPEG", "WebP", "AVIF"):
        assert page.locator(f"#curve g.{codec} > :not(polyline)").count() >= 4
    expect(page.locator("#curve tbody tr")).to_have_count(25)
    expect(page.locator("#curve .here")).to_be_attached()
