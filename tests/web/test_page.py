"""The page in a real browser: headless Chromium, driven by Playwright, on a service with a small model."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tacit.codec import DEFAULT_STEER, Codec
from tacit.container import SIGNATURE

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install 'tacit[dev]'")
axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
uvicorn = pytest.importorskip("uvicorn", reason="needs the extra web")

from tacit.web.app import create_app  # noqa: E402
from tacit.web.settings import ServiceSettings  # noqa: E402
from tacit.web.workers.errors import Overloaded  # noqa: E402

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

MINUS = "\N{MINUS SIGN}"
CAPTION = "a hill behind a lake"
PATIENCE = 240_000  # ms; machines that test are busy
expect = playwright.expect
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def app(tiny_weights: Path) -> Any:
    return create_app(
        ServiceSettings(model=str(tiny_weights), workers=1, threads=1, body_limit=1_000_000, time_limit=300)
    )


@pytest.fixture(scope="module")
def address(app: Any) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        assert thread.is_alive(), "the service has not started"
        assert time.monotonic() < deadline, "the service does not start"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    """Opens the page in a window of its own. Whatever the tests do, it asks nothing of anybody else, breaks no policy
    and has no errors.

    statuses: of answers that the test is about. answers: by path, instead of the service's. token: that it asks for.
    """
    contexts: list[Any] = []
    wrong: list[str] = []
    expected: list[int] = []  # the browser logs them as errors

    def open_page(
        *,
        statuses: tuple[int, ...] = (),
        answers: Mapping[str, Any] | None = None,
        token: str | None = None,
        **options: Any,
    ) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1100, "height": 640}, **options})
        contexts.append(context)
        expected.extend(statuses)

        def route(route: Any) -> None:
            request = route.request
            path = request.url.removeprefix(address)
            if not request.url.startswith(address):
                wrong.append(f"asks for {request.url}")
                route.abort()
            elif token and "/preview" in path and request.headers.get("authorization") != f"Bearer {token}":
                route.fulfill(status=401, json={"status": 401})
            elif answers and path in answers:
                route.fulfill(json=answers[path])
            else:
                route.continue_()

        context.route("**/*", route)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))

        def logged(message: Any) -> None:
            if message.type == "error" and not any(f"status of {status}" in message.text for status in expected):
                wrong.append(f"logs: {message.text}")

        page.on("console", logged)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph with a caption in its metadata."""
    from support.pictures import synthetic

    path = tmp_path_factory.mktemp("page") / "lake.png"
    exif = Image.Exif()
    exif[0x010E] = CAPTION  # ImageDescription
    Image.fromarray(synthetic(208, 144)).save(path, exif=exif)
    return path


def settled(page: Any) -> None:
    """Wait until the picture is there, and the figures that come after it."""
    expect(page.locator("#f-latency")).to_have_attribute("data-ms", re.compile(r"\d"))
    expect(page.locator("#f-decode")).to_have_text(re.compile(r"\d+(\.\d)? m?s"))


def opened(visit: Visit, photo: Path, **options: Any) -> Any:
    page = visit(**options)
    page.set_input_files("#pick", photo)
    settled(page)
    return page


def comes(page: Any, wanted: Callable[[], bool]) -> bool:
    """Whether it becomes so within ten seconds: the page draws when it can."""
    for _ in range(200):
        if wanted():
            return True
        page.wait_for_timeout(50)
    return wanted()


def size(page: Any) -> int:
    """Bytes of the file that is shown."""
    return int(re.sub(r"\D", "", page.locator("#f-bytes").get_attribute("title")))


def slide(page: Any, key: str) -> None:
    """Move the quality, and wait for what becomes of it."""
    before = page.locator("#f-bytes").get_attribute("title")
    page.locator("#quality").press(key)
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", before)


def delay(monkeypatch: pytest.MonkeyPatch, app: Any, name: str, seconds: float) -> None:
    """Let the pool's method of that name take longer."""
    method = getattr(app.state.service.pool, name)

    async def slowly(*arguments: Any) -> Any:
        await asyncio.sleep(seconds)
        return await method(*arguments)

    monkeypatch.setattr(app.state.service.pool, name, slowly)


def pixels(page: Any) -> str:
    """What is on the canvas."""
    return page.evaluate("() => document.getElementById('picture').toDataURL()")


def drawn(page: Any) -> None:
    """Wait for the next frame."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


DROP = """([name, bytes, type]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name));
    const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
    if (type === "paste") {
        document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
    } else {
        for (const step of ["dragenter", "dragover", "drop"]) document.body.dispatchEvent(new DragEvent(step, options));
    }
}"""


def drop(page: Any, name: str, data: bytes | int, how: str = "drop") -> None:
    """A file of these bytes, or of so many zeros."""
    page.evaluate(DROP, [name, data if isinstance(data, int) else list(data), how])


def test_a_photograph_is_sent_and_the_slider_moves_its_encoding(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
    expect(page.locator("#caption")).to_have_value(CAPTION)
    expect(page.locator("#photo-name")).to_have_text("lake.png")
    middle = size(page)
    latency = float(page.locator("#f-latency").get_attribute("data-ms"))
    assert 0 < latency < PATIENCE
    slide(page, "End")
    assert size(page) > middle
    assert page.locator("#quality-number").input_value() == "100"
    best = pixels(page)
    slide(page, "Home")
    assert size(page) < middle
    assert pixels(page) != best
    expect(page.locator("#said")).to_contain_text("Quality 0")
    assert re.fullmatch(r"\d+\.\d\d dB", page.locator("#f-psnr").inner_text())
    assert float(page.locator("#f-bpp").inner_text()) == pytest.approx(8 * size(page) / (208 * 144), abs=1e-3)


def test_values_that_came_too_fast_are_skipped_and_the_last_one_is_shown(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
    asked: list[Any] = []
    page.on("request", lambda r: r.url.endswith("/encode") and asked.append(r.post_data_json["quality"]))
    slider = page.locator("#quality")
    page.evaluate("""() => {
        const slider = document.getElementById("quality");
        for (let value = 51; value <= 90; value++) {
            slider.value = value;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
        }
    }""")
    expect(page.locator("#said")).to_contain_text("Quality 90")
    assert slider.input_value() == "90"
    assert asked == [51, 90]


def test_a_size_is_reached(visit: Visit, photo: Path, codec: Codec) -> None:
    page = opened(visit, photo, statuses=(422,))
    goal = len(codec.encode(photo, CAPTION, 25, store_caption=True))
    page.get_by_role("radio", name="Size").check()
    page.locator("#size-number").fill(str(goal / 1000))
    page.locator("#size-number").press("Enter")
    assert comes(page, lambda: 0.9 * goal < size(page) <= goal)
    assert 20 < float(page.locator("#quality-number").input_value()) < 30
    page.locator("#size-number").fill("0.1")
    page.locator("#size-number").press("Enter")
    expect(page.locator("#remark")).to_contain_text("cannot be reached")


def test_a_size_that_is_wanted_no_more_is_not_looked_for(
    visit: Visit, photo: Path, app: Any, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(visit, photo)
    with page.expect_response("**/encode"):
        page.get_by_role("radio", name="Size").check()
    high, low = (len(codec.encode(photo, CAPTION, quality, store_caption=True)) for quality in (85, 25))
    delay(monkeypatch, app, "run_near", 0.8)  # longer than the page waits for the slider to rest
    asked: list[int] = []
    page.on("request", lambda r: r.url.endswith("/encode") and asked.append(r.post_data_json["size"]))
    number, ready = page.locator("#size-number"), page.locator("#download:enabled")
    for wanted in (high, low):
        number.fill(str(wanted / 1000))
        number.press("Enter")
        assert comes(page, lambda: bool(asked))  # the first is under way
    assert comes(page, lambda: asked.count(low) >= 1 and ready.is_visible() and 0.9 * low < size(page) <= low)
    page.wait_for_timeout(1000)
    assert asked == [high, *[low] * asked.count(low)]
    assert 0.9 * low < size(page) <= low


def test_other_codecs_at_as_many_bytes(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
    slide(page, "End")
    settled(page)
    own = pixels(page)
    page.get_by_role("tab", name="JPEG").click()
    expect(page.locator("#remark")).to_contain_text("JPEG at quality")
    assert page.locator("#right-tag").inner_text().startswith("JPEG, ")
    limit = int(page.locator("#download").get_attribute("data-bytes"))
    assert size(page) <= limit
    assert comes(page, lambda: pixels(page) != own)
    page.get_by_role("tab", name="JPEG").press("ArrowRight")
    expect(page.get_by_role("tab", name="WebP")).to_be_focused()
    expect(page.get_by_role("tab", name="WebP")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#remark")).to_contain_text("WebP")
    expect(page.locator("#f-bytes")).to_have_attribute("title", re.compile(r"\d"))
    assert size(page) <= limit
    beside = pixels(page)
    page.get_by_label("compare with tacit").check()
    expect(page.locator("#left-tag")).to_contain_text("tacit, ")
    assert comes(page, lambda: pixels(page) != beside)


def test_the_divider_by_mouse_and_by_keyboard(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
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
    before = pixels(page)
    divider.press("ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", str(moved - 2))
    divider.press("Shift+ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", str(moved - 12))
    drawn(page)
    assert pixels(page) != before
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuenow", "0")
    divider.press("End")
    expect(divider).to_have_attribute("aria-valuenow", "100")
    expect(divider).to_have_attribute("aria-valuetext", re.compile("100 %"))


def test_zoom_and_pan(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
    level = page.locator("#zoom-level")
    fitting = level.inner_text()
    page.get_by_role("button", name="Zoom in").click()
    expect(level).not_to_have_text(fitting)
    stage = page.locator("#stage")
    stage.focus()
    before = pixels(page)
    stage.press("ArrowRight")
    drawn(page)
    assert pixels(page) != before
    stage.press("0")
    expect(level).to_have_text(fitting)
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.wheel(0, -400)
    expect(level).not_to_have_text(fitting)


def test_where_the_bits_went(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
    plain = pixels(page)
    note, legend = page.locator("#bits-note"), page.locator("#legend")
    page.get_by_role("radio", name="With caption").check()
    expect(legend).to_be_visible()
    expect(note).to_contain_text("with the caption")
    warm = pixels(page)
    assert warm != plain
    page.get_by_role("radio", name="Change").check()
    expect(page.locator("#legend-low")).to_contain_text(MINUS)
    expect(note).to_contain_text("without")
    assert pixels(page) not in (warm, plain)
    page.get_by_role("radio", name="Off").check()
    expect(legend).to_be_hidden()
    drawn(page)
    assert pixels(page) == plain


def test_a_map_that_comes_too_late_is_not_shown(
    visit: Visit, photo: Path, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(visit, photo)
    delay(monkeypatch, app, "run_in_background", 0.5)
    with page.expect_response("**/bits"):
        page.get_by_role("radio", name="With caption").check()
        expect(page.locator("#still")).to_have_text("Counting bits…")
        page.get_by_role("radio", name="Off").check()
    expect(page.locator("#still")).to_have_text("")
    expect(page.locator("#legend")).to_be_hidden()


def test_nothing_is_downloaded_before_it_is_there(
    visit: Visit, photo: Path, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(visit, photo)
    expect(page.locator("#download")).to_be_enabled()
    delay(monkeypatch, app, "run_near", 0.5)
    with page.expect_response("**/encode"):
        page.set_input_files("#pick", photo)
        expect(page.locator("#f-bytes")).to_have_text("\N{EN DASH}")
        expect(page.locator("#download")).to_be_disabled()
    expect(page.locator("#download")).to_be_enabled()


def test_a_download_decodes_and_can_be_dropped(visit: Visit, photo: Path, tmp_path: Path, codec: Codec) -> None:
    page = opened(visit, photo)
    before = page.locator("#f-bytes").get_attribute("title")
    page.locator("#caption").fill("another caption")
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", before)
    with page.expect_download() as download:
        page.locator("#download").click()
    assert download.value.suggested_filename == "lake.tacit"
    data = Path(download.value.path()).read_bytes()
    assert len(data) == size(page)
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


def test_a_caption_may_stay_out_of_the_file(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
    before = size(page)
    page.get_by_label("Keep it in the file").uncheck()
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", f"{before:,} bytes")
    assert before - len(CAPTION) - 16 < size(page) < before - len(CAPTION) + 1


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


def test_what_is_shown_stays_when_something_cannot_be_opened(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo, statuses=(415,))
    drop(page, "notes.txt", b"no picture at all")
    expect(page.get_by_role("alert")).to_contain_text("not an image")
    expect(page.locator("#photo-name")).to_have_text("lake.png")
    slide(page, "End")


def test_a_photograph_is_pasted(visit: Visit, photo: Path) -> None:
    page = visit()
    drop(page, "image.png", photo.read_bytes(), "paste")
    settled(page)
    page.get_by_role("button", name="Another photo").click()
    expect(page.locator("#start")).to_be_visible()


def test_a_photograph_that_the_service_has_let_go_is_sent_again(visit: Visit, photo: Path, app: Any) -> None:
    page = opened(visit, photo, statuses=(404,))
    uploads = app.state.service.uploads
    uploads.seconds = -1  # all that is kept is too old when it is next looked for
    for digest in list(uploads._kept):
        uploads._drop(digest)
    uploads.seconds = 600
    slide(page, "End")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_busy_service_is_asked_again(visit: Visit, photo: Path, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(visit, photo, statuses=(429,))
    pool, refused = app.state.service.pool, []
    check = pool.check

    def busy_once() -> None:
        if not refused:
            refused.append(True)
            raise Overloaded("the queue is full")
        check()

    monkeypatch.setattr(pool, "check", busy_once)
    slide(page, "End")
    assert refused
    expect(page.get_by_role("alert")).to_be_hidden()


def test_large_photographs_are_reduced_and_say_so(visit: Visit, tmp_path: Path) -> None:
    from support.pictures import synthetic

    path = tmp_path / "large.jpg"
    Image.fromarray(synthetic(240, 160)).resize((2100, 1400)).save(path, quality=60)
    page = opened(visit, path)
    note = page.locator("#scaled")
    expect(note).to_contain_text(re.compile("2100.1400 pixels, worked on at 1732.1155"))
    with page.expect_request(lambda r: "/preview/images?" in r.url and "pixels=" not in r.url):
        note.get_by_role("button", name="Use all pixels").click()
    expect(note).to_be_hidden()


def test_the_curve_is_drawn_and_can_be_stopped(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
    run = page.locator("#curve-run")
    run.click()
    expect(page.locator("#curve .series.tacit circle").first).to_be_attached()
    run.click()
    expect(run).to_have_text("Go on")
    run.click()
    expect(run).to_be_hidden()
    for codec in ("tacit", "JPEG", "WebP", "AVIF"):
        assert page.locator(f"#curve g.{codec} > :not(polyline)").count() >= 4
    expect(page.locator("#curve tbody tr")).to_have_count(25)
    expect(page.locator("#curve .here")).to_be_attached()


def test_samples(visit: Visit) -> None:
    pytest.importorskip("skimage")
    page = visit()
    sample = page.get_by_role("button", name="a close-up of a tabby cat")
    sample.click()
    settled(page)
    expect(page.locator("#caption")).to_have_value("a close-up of a tabby cat with green eyes")


TINY = {"name": "tiny", "variable_rate": True, "steers": True}
ABOUT = {"samples": [], "captioner": "gpt-4o", "kept": 60, "body_limit": 1000, "models": [TINY]}


def test_a_caption_is_written_and_weighed_where_the_service_can(visit: Visit, photo: Path) -> None:
    written = "a grey heron in the Camargue"
    weights = [("a", 1.0, "function word"), ("heron", 1.4, "rare"), ("Camargue", 1.5, "name (GPE)")]
    words = [{"text": t, "start": 0, "end": 1, "weight": w, "reason": r} for t, w, r in weights]
    page = opened(
        visit,
        photo,
        answers={
            "/preview": ABOUT,
            "/v1/caption": {"caption": written, "model": "gpt-4o"},
            "/preview/words": {"words": words, "names": "rules"},
        },
    )
    assert page.locator("#samples").is_hidden()
    with page.expect_request(lambda r: r.url.endswith("/encode") and r.post_data_json["caption"] == written):
        page.get_by_role("button", name="Write one").click()
    expect(page.locator("#caption")).to_have_value(written)
    expect(page.locator("#words li")).to_have_text(["a", "heron1.40", "Camargue1.50"])
    expect(page.locator("#words li").last).to_have_attribute("title", "1.50: name (GPE)")
    page.locator("#caption").fill("")
    expect(page.locator("#words")).to_be_hidden()


def test_without_a_captioner_none_is_offered(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
    assert page.get_by_role("button", name="Write one").is_hidden()


def test_a_model_is_chosen_and_what_it_can_be_asked_is_shown(
    visit: Visit, photo: Path, app: Any, tiny_taco_fixed_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TACIT_WEIGHTS", str(tiny_taco_fixed_weights.parent))
    page = opened(visit, photo)
    note, model = page.locator("#caption-note"), page.get_by_label("Model")
    names = [about.name for about in app.state.service.models().values()]
    assert model.locator("option").all_inner_texts() == names
    assert names[:2] == ["tiny", "tacit-s"]
    expect(note).to_contain_text("at a higher quality")
    tiny = size(page)
    model.select_option("tacit-s")
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", f"{tiny:,} bytes")
    settled(page)
    model.select_option("tiny-taco-fixed")
    expect(page.locator("#said")).to_contain_text("tiny-taco-fixed: ")
    settled(page)
    expect(note).to_have_text("It guides the encoder. Decoding never needs it.")
    for control in ("#rate", "#steer-part", "#named"):
        expect(page.locator(control)).to_be_hidden()
    page.locator("#curve-run").click()
    expect(page.locator("#curve tbody tr")).to_have_count(19)
    expect(page.locator("#curve tbody tr").first).to_contain_text("fixed")


def test_a_caption_steers_and_what_it_names_is_shown(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
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
    expect(page.locator("#bits-note")).to_contain_text("no caption that would steer")


def test_words_may_count_by_what_they_weigh(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
    expect(page.locator("#words-note")).to_contain_text("Names are found by ")
    with page.expect_request(lambda r: r.url.endswith("/encode") and r.post_data_json["word_weights"]):
        page.get_by_label("Encode by these weights").check()
    settled(page)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_the_token_is_asked_for_once(visit: Visit, photo: Path) -> None:
    page = visit(statuses=(401,), token="secret")
    dialog = page.get_by_role("dialog", name="This service asks for a token")
    dialog.get_by_label("Token").fill("secret")
    dialog.get_by_role("button", name="Continue").click()
    expect(page.locator("#kept")).to_contain_text("memory")
    page.set_input_files("#pick", photo)
    settled(page)
    expect(dialog).to_be_hidden()


def test_a_phone(visit: Visit, photo: Path) -> None:
    size = {"width": 375, "height": 667}
    page = opened(visit, photo, viewport=size, has_touch=True, is_mobile=True, device_scale_factor=2)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
    for part in ("#stage", "#quality"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= size["height"]
    for control in page.locator("button:visible, input[type=range]:visible, [role=tab]:visible").all():
        assert control.bounding_box()["height"] >= 24  # WCAG 2.2, 2.5.8
    slide(page, "End")
    page.get_by_role("radio", name="With caption").check()
    legend, zoom = page.locator("#legend"), page.locator(".zoom")
    expect(legend).to_be_visible()
    assert legend.bounding_box()["y"] + legend.bounding_box()["height"] <= zoom.bounding_box()["y"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(visit: Visit, photo: Path, codec: Codec, scheme: str) -> None:
    page = visit(color_scheme=scheme, bypass_csp=True)  # for axe's own script

    def check(part: str) -> None:
        found = axe_playwright.Axe().run(page).response["violations"]
        assert [(part, v["id"], n["target"], n["failureSummary"]) for v in found for n in v["nodes"]] == []

    expect(page.locator("#kept")).to_contain_text("memory")
    check("start")
    page.set_input_files("#pick", photo)
    settled(page)
    page.get_by_role("radio", name="With caption").check()
    expect(page.locator("#legend")).to_be_visible()
    check("photograph")
    drop(page, "x.tacit", codec.encode(photo, CAPTION, store_caption=True))
    expect(page.locator("#file-caption")).to_be_visible()
    check("file")


def test_the_focus_goes_through_the_page_in_order_and_is_seen(visit: Visit, photo: Path) -> None:
    page = opened(visit, photo)
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


def test_reduced_motion(visit: Visit, photo: Path) -> None:
    page = visit(reduced_motion="reduce")
    assert page.evaluate("() => getComputedStyle(document.querySelector('.drop')).transitionProperty") == "none"


# -- what is behind it -------------------------------------------------------------------------------------------------


def ask(address: str, path: str, body: object) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/preview/{path}", data)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_words_are_weighed(address: str) -> None:
    status, answer = ask(address, "words", {"caption": "a heron in the Camargue"})
    assert status == 200
    words = json.loads(answer)["words"]
    assert [word["text"] for word in words] == ["a", "heron", "in", "the", "Camargue"]
    assert words[1]["weight"] > words[0]["weight"] == 1
    assert all(word["reason"] for word in words)


stream = io.BytesIO()
Image.linear_gradient("L").save(stream, "PNG")
BROKEN = stream.getvalue()[:-100]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("images/" + 64 * "0" + "/encode", {"quality": 50}, 404),
        ("images/zero/encode", {"quality": 50}, 422),
        ("samples/nobody", {}, 404),
        ("images", b"\x00", 415),
        ("images", BROKEN, 422),
    ],
)
def test_requests_that_cannot_be_answered(address: str, path: str, body: object, status: int) -> None:
    found, problem = ask(address, path, body)
    assert (found, problem["status"]) == (status, status)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("encode", {"quality": 101}),
        ("encode", {"quality": 50, "size": 1000}),
        ("encode", {"unknown": 1}),
        ("encode", b"not JSON"),
        ("encode", {"caption": 5000 * "x"}),
        ("comparison", {"codec": "GIF", "bytes": 1000}),
        ("comparison", {"codec": "JPEG", "bytes": 0}),
        ("point", {"codec": "JPEG"}),
        ("encode", {"model": "nothing"}),
        ("encode", {"steer": 101}),
    ],
)
def test_requests_that_make_no_sense(address: str, photo: Path, path: str, body: object) -> None:
    status, form = ask(address, "images", photo.read_bytes())
    assert status == 200
    digest = re.search(rb'"digest": "([0-9a-f]{64})"', form)
    assert digest is not None
    status, problem = ask(address, f"images/{digest[1].decode()}/{path}", body)
    assert status == 422, problem
    assert problem["detail"]


def test_a_photograph_is_shown_upright_in_srgb_and_without_metadata(address: str, tmp_path: Path) -> None:
    from PIL import ImageCms

    from tacit.web.jobs.display_images import open_upload

    image = Image.new("RGB", (40, 20), (200, 60, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "p.jpg"
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(path, exif=exif, icc_profile=lab, quality=95)
    raw = open_upload(path.read_bytes(), 400, True, 10_000)
    found = open_upload(path.read_bytes(), 400, False, 10_000)
    assert (raw.media_type, found.media_type) == ("image/bmp", "image/webp")
    assert np.array_equal(Image.open(io.BytesIO(raw.data)), Image.open(io.BytesIO(found.data)))
    assert (found.own_width, found.own_height) == (20, 40)
    assert found.width * found.height == pytest.approx(400, rel=0.06)
    path.write_bytes(found.data)
    with Image.open(path) as shown:
        assert shown.size == (found.width, found.height)
        assert not {"exif", "icc_profile", "xmp"} & shown.info.keys()
        assert shown.getpixel((3, 3)) == pytest.approx((200, 60, 30), abs=3)
