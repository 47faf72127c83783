"""Small screens, keyboards, screen readers, and reduced motion."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.page import (
    CAPTION,
    Visit,
    drop,
    expect,
    open_page,
    press_quality,
    wait_until_settled,
)
from tacit.codec import Codec

axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")


pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_phone(visit: Visit, image_file: Path) -> None:
    size = {"width": 375, "height": 667}
    page = open_page(visit, image_file, viewport=size, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
    for part in ("#stage", "#quality"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= size["height"]
    for control in page.locator("button:visible, input[type=range]:visible, [role=tab]:visible").all():
        assert control.bounding_box()["height"] >= 24  # WCAG 2.2, 2.5.8
    press_quality(page, "End")
    page.get_by_role("radio", name="With caption").check()
    legend, zoom = page.locator("#legend"), page.locator(".zoom")
    expect(legend).to_be_visible()
    assert legend.bounding_box()["y"] + legend.bounding_box()["height"] <= zoom.bounding_box()["y"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(visit: Visit, image_file: Path, codec: Codec, scheme: str) -> None:
    page = visit(color_scheme=scheme, bypass_csp=True)  # for axe's own script

    def check(part: str) -> None:
        violations = axe_playwright.Axe().run(page).response["violations"]
        assert [(part, v["id"], n["target"], n["failureSummary"]) for v in violations for n in v["nodes"]] == []

    expect(page.locator("#kept")).to_contain_text("memory")
    check("start")
    page.set_input_files("#pick", image_file)
    wait_until_settled(page)
    page.get_by_role("radio", name="With caption").check()
    expect(page.locator("#legend")).to_be_visible()
    check("photograph")
    page.get_by_label("Boxes I draw").check()
    page.get_by_role("button", name="Add a box").click()
    page.get_by_label("A promise").check()
    page.get_by_label("At least").fill("1")
    page.get_by_label("At least").press("Enter")
    expect(page.locator("#kept-list li")).to_have_count(1)
    check("boxes")
    drop(page, "x.tacit", codec.encode(image_file, CAPTION, store_caption=True))
    expect(page.locator("#file-caption")).to_be_visible()
    check("file")


def test_the_focus_goes_through_the_page_in_order_and_is_seen(visit: Visit, image_file: Path) -> None:
    page = open_page(visit, image_file)
    seen = []
    page.locator("h1 a").focus()
    for _ in range(8):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("() => document.activeElement.id"))
        outline = page.evaluate("""() => {
            const own = getComputedStyle(document.activeElement);
            return own.outlineStyle !== "none" || getComputedStyle(document.activeElement, "::after").boxShadow;
        }""")
        assert outline, seen[-1]
    assert seen == ["another", "tab-tacit", "stage", "divider", "zoom-out", "zoom-level", "zoom-in", ""]


def test_reduced_motion(visit: Visit, image_file: Path) -> None:
    page = visit(reduced_motion="reduce")
    assert page.evaluate("() => getComputedStyle(document.querySelector('.drop')).transitionProperty") == "none"
