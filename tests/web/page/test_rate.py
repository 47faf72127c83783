"""Quality and size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.page import (
    CAPTION,
    Visit,
    becomes,
    delay,
    encode_requests,
    expect,
    file_size,
    open_page,
)
from tacit.codec import Codec

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_values_that_came_too_fast_are_skipped_and_the_last_one_is_shown(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    requests = encode_requests(page)
    slider = page.locator("#quality")
    page.evaluate("""() => {
        const slider = document.getElementById("quality");
        for (let value = 51; value <= 90; value++) {
            slider.value = value;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
        }
    }""")
    expect(page.locator("#announcement")).to_contain_text("Quality 90")
    assert slider.input_value() == "90"
    assert [request["quality"] for request in requests] == [51, 90]


def test_a_size_is_reached(visit: Visit, image_file: Path, codec: Codec) -> None:
    page = open_page(visit, image_file, statuses=(422,))
    goal = len(codec.encode(image_file, CAPTION, 25, store_caption=True))
    page.get_by_role("radio", name="Size").check()
    page.locator("#size-number").fill(str(goal / 1000))
    page.locator("#size-number").press("Enter")
    assert becomes(page, lambda: 0.9 * goal < file_size(page) <= goal)
    assert 20 < float(page.locator("#quality-number").input_value()) < 30
    page.locator("#size-number").fill("0.1")
    page.locator("#size-number").press("Enter")
    expect(page.locator("#remark")).to_contain_text("cannot be reached")


def test_a_size_that_is_wanted_no_more_is_not_looked_for(
    visit: Visit, image_file: Path, app: Any, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(visit, image_file)
    with page.expect_response("**/encode"):
        page.get_by_role("radio", name="Size").check()
    high, low = (len(codec.encode(image_file, CAPTION, quality, store_caption=True)) for quality in (85, 25))
    delay(monkeypatch, app, "run_near", 0.8)  # longer than the page waits for the slider to rest
    requests = encode_requests(page)
    number, ready = page.locator("#size-number"), page.locator("#download:enabled")
    for wanted in (high, low):
        number.fill(str(wanted / 1000))
        number.press("Enter")
        assert becomes(page, lambda: bool(requests))  # the first is under way
    assert becomes(
        page, lambda: requests[-1]["size"] == low and ready.is_visible() and 0.9 * low < file_size(page) <= low
    )
    page.wait_for_timeout(1000)
    assert [request["size"] for request in requests] == [high, *[low] * (len(requests) - 1)]
    assert 0.9 * low < file_size(page) <= low
