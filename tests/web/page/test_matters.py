"""What matters most: what was found of the caption, boxes that are drawn, and promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.page import (
    Visit,
    becomes,
    drop,
    encode_requests,
    expect,
    file_size,
    open_page,
    wait_until_settled,
)
from support.pictures import synthetic
from tacit.codec import Codec

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAMED = "the red box and an accordion"


@pytest.fixture(scope="module")
def red_box_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of 256x192 pixels that has a red box and says so."""
    pixels = synthetic(256, 192)
    pixels[64:128, 64:128] = (210, 20, 20)
    path = tmp_path_factory.mktemp("matters") / "box.png"
    exif = Image.Exif()
    exif[0x010E] = NAMED
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.fixture
def page(visit: Visit, red_box_file: Path) -> Any:
    """The page, with the image."""
    return open_page(visit, red_box_file, viewport={"width": 1280, "height": 860}, statuses=(422,))


def point(page: Any, x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the image is in the window."""
    place = page.locator("#layer").evaluate(
        """(layer) => {
            const of = (name) => Number.parseFloat(layer.style.getPropertyValue(name));
            const { left, top } = layer.getBoundingClientRect();
            return [left + of("--x"), top + of("--y"), of("--scale")];
        }"""
    )
    return place[0] + x * place[2], place[1] + y * place[2]


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one pixel of the image to another."""
    page.mouse.move(*point(page, *start))
    page.mouse.down()
    page.mouse.move(*point(page, *end), steps=3)
    page.mouse.up()


def boxes(page: Any) -> list[list[int]]:
    """Return the boxes as their numbers say: left, top, width and height."""
    return [
        [int(field.input_value()) for field in row.locator("input").all()]
        for row in page.locator("#boxes li:not([aria-hidden])").all()
    ]


def test_what_is_found_is_shown_and_what_is_not_is_said(page: Any) -> None:
    things = page.locator("#things li")
    expect(things).to_have_count(2)
    expect(things.first).to_contain_text(re.compile("red box.*by .*colour"))
    expect(things.last).to_have_text("accordionnot found")
    expect(page.locator("#announcement")).to_contain_text("Found: red box. Not found: accordion.")
    seen = page.locator("#layer .seen")
    expect(seen).to_have_count(1)
    expect(seen).to_have_text("red box")
    left, top = point(page, 64, 64)
    box = seen.bounding_box()
    assert abs(box["x"] - left) + abs(box["y"] - top) < 60
    things.first.hover()
    expect(seen).to_have_class(re.compile("lit"))
    page.get_by_role("button", name="Zoom in").click()
    assert becomes(page, lambda: seen.bounding_box()["width"] > 1.4 * box["width"])  # it follows the image
    page.get_by_label("Show it on the photo").uncheck()
    expect(seen).to_have_count(0)
    page.locator("#caption").fill("an accordion")
    expect(page.locator("#things-note")).to_contain_text("Nothing of the caption is found")
    page.locator("#caption").fill("")
    expect(page.locator("#things-note")).to_contain_text("There is no caption")


def test_boxes_are_drawn_moved_resized_and_removed_and_steer(page: Any) -> None:
    plain, bodies = file_size(page), encode_requests(page)
    page.get_by_label("Boxes I draw").check()
    drag(page, (20, 30), (100, 90))
    assert boxes(page) == [[20, 30, 80, 60]]
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", f"{plain:,} bytes")
    assert becomes(page, lambda: bodies[-1].get("box") == ["20,30,80,60"])
    drag(page, (150, 100), (220, 180))
    drag(page, (60, 60), (70, 50))
    assert boxes(page) == [[30, 20, 80, 60], [150, 100, 70, 80]]
    drag(page, (110, 80), (130, 120))  # the corner
    assert boxes(page)[0] == [30, 20, 100, 100]
    drag(page, (180, 140), (400, 400))  # not out of the image
    assert boxes(page)[1] == [186, 112, 70, 80]
    first = page.get_by_role("group", name="Box 1,")
    first.press("ArrowRight")
    first.press("Shift+ArrowUp")
    assert boxes(page)[0] == [38, 20, 100, 92]
    page.get_by_label("Box 1, width in pixels").fill("40")
    page.get_by_label("Box 1, width in pixels").press("Enter")
    assert first.get_attribute("aria-label").startswith("Box 1, 40 × 92 pixels at 38, 20.")  # noqa: RUF001
    page.get_by_label("Box 1, left in pixels").fill("9999")
    page.get_by_label("Box 1, left in pixels").press("Enter")
    expect(page.get_by_label("Box 1, left in pixels")).to_have_value("216")
    page.get_by_role("group", name="Box 2,").press("Delete")
    assert boxes(page) == [[216, 20, 40, 92]]
    page.get_by_role("radio", name="Named").check()
    expect(page.locator("#bits-note")).to_contain_text("raised or lowered")
    page.get_by_role("button", name="Add a box").click()
    assert boxes(page)[1] == [108, 81, 64, 48]
    page.get_by_role("button", name="Remove box 1").click()
    page.get_by_role("button", name="Remove all").click()
    assert boxes(page) == []
    assert becomes(page, lambda: bodies[-1].get("box") == [])
    wait_until_settled(page)


def test_the_images_are_compared_while_nothing_is_drawn(page: Any) -> None:
    draw, divider = page.get_by_role("button", name="Draw boxes"), page.get_by_role("slider", name="Divider")
    expect(draw).to_be_hidden()
    page.get_by_label("Boxes I draw").check()
    expect(draw).to_have_attribute("aria-pressed", "true")
    drag(page, (128, 60), (200, 130))  # over the divider
    expect(divider).to_have_attribute("aria-valuenow", "50")
    draw.click()
    drag(page, (128, 10), (200, 10))
    expect(divider).not_to_have_attribute("aria-valuenow", "50")
    assert len(boxes(page)) == 1
    page.get_by_label("From the caption").check()
    expect(draw).to_be_hidden()
    expect(page.locator("#layer .drawn")).to_have_count(0)
    page.get_by_label("Boxes I draw").check()
    assert len(boxes(page)) == 1


def test_boxes_are_drawn_by_touch(visit: Visit, red_box_file: Path) -> None:
    page = open_page(visit, red_box_file, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.get_by_label("Boxes I draw").check()
    page.locator("#stage").scroll_into_view_if_needed()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    touch = page.context.new_cdp_session(page)
    for kind, at in (("touchStart", (30, 30)), ("touchMove", (60, 70)), ("touchMove", (110, 130)), ("touchEnd", None)):
        x, y = point(page, *at) if at else (0, 0)
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}] if at else []})
    ((left, top, width, height),) = boxes(page)
    assert abs(left - 30) + abs(top - 30) + abs(width - 80) + abs(height - 100) <= 4


def test_a_promise_about_a_box_is_kept_or_said_to_be_too_much(page: Any, codec: Codec) -> None:
    page.locator("#quality-number").fill("0")
    page.get_by_label("Boxes I draw").check()
    page.get_by_label("A promise").check()
    note = page.locator("#promise-note")
    expect(note).to_contain_text("draw a box on the photo")
    drag(page, (64, 64), (128, 128))
    expect(note).to_contain_text(re.compile("cannot be kept at 36 dB"))
    expect(page.locator("#download")).to_be_disabled()
    page.get_by_label("If it cannot be kept").check()
    kept = page.locator("#kept-list li")
    expect(kept).to_have_text(re.compile(r"Box 1only \d+\.\d dB"))
    expect(page.locator("#download")).to_be_enabled()
    reached = float(re.findall(r"[\d.]+ dB", kept.inner_text())[0].split()[0])
    page.get_by_label("If it cannot be kept").uncheck()
    page.get_by_label("At least").fill(str(reached - 2))
    page.get_by_label("At least").press("Enter")
    expect(kept).to_have_text(re.compile(r"^Box 1\d+\.\d dB"))
    expect(note).to_contain_text("This costs")
    expect(page.locator("#layer .drawn")).to_contain_text(" dB")
    with page.expect_download() as download:
        page.locator("#download").click()
    decoded = codec.decode(Path(download.value.path()).read_bytes())
    assert decoded.size == (256, 192)


def test_what_a_promise_leaves_out_is_said(page: Any) -> None:
    things = [{"phrase": "accordion", "cues": ["touch"], "sure": True, "boxes": [[8, 8, 64, 64]]}]
    page.route("**/find", lambda route: route.fulfill(json={"things": things}))  # and the encoder finds none
    page.get_by_label("A promise").check()
    page.locator("#caption").fill("an accordion, played")
    page.get_by_label("If it cannot be kept").check()
    expect(page.locator("#promise-note")).to_contain_text("'accordion' cannot be found in the image")
    expect(page.locator("#promise-note")).to_contain_text("Nothing is kept")
    expect(page.locator("#download")).to_be_enabled()


def test_a_promise_about_what_is_named(page: Any) -> None:
    bodies = encode_requests(page)
    page.get_by_label("A promise").check()
    page.get_by_label("Measure").select_option("ssimulacra2")
    expect(page.get_by_label("At least")).to_have_value("70")
    page.get_by_label("If it cannot be kept").check()
    kept = page.locator("#kept-list li")
    expect(kept).to_have_text(re.compile("red box.*SSIMULACRA 2"))
    assert bodies[-1]["keep"] == ["red box=70ssimulacra2"]
    expect(page.locator("#layer .seen")).to_contain_text("SSIMULACRA 2")
    page.get_by_role("checkbox", name="red box").uncheck()
    expect(page.locator("#promise-note")).to_contain_text("Nothing is promised")
    expect(kept).to_have_count(0)
    page.get_by_label("More of the bits").check()
    wait_until_settled(page)
    expect(page.locator("#promise-note")).to_be_hidden()


def test_a_file_has_no_boxes(page: Any, codec: Codec, red_box_file: Path) -> None:
    page.get_by_label("Boxes I draw").check()
    drop(page, "x.tacit", codec.encode(red_box_file))
    expect(page.locator("#header-part")).to_be_visible()
    for hidden in ("#matters-part", "#draw", "#words"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("#layer .box")).to_have_count(0)
