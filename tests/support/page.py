"""What tests of the page do with it: open files, wait, and look at what it shows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install 'tacit[dev]'")

CAPTION = "a hill behind a lake"
MINUS = "\N{MINUS SIGN}"
PATIENCE = 240_000  # ms; machines that test are busy

Visit = Callable[..., Any]

expect = playwright.expect
expect.set_options(timeout=PATIENCE)

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


def wait_until_settled(page: Any) -> None:
    """Wait until the image is shown, and the figures that come after it."""
    expect(page.locator("#f-latency")).to_have_attribute("data-ms", re.compile(r"\d"))
    expect(page.locator("#f-decode")).to_have_text(re.compile(r"\d+(\.\d)? m?s"))


def open_page(visit: Visit, image_file: Path, **options: Any) -> Any:
    """Open the page and an image on it."""
    page = visit(**options)
    page.set_input_files("#pick", image_file)
    wait_until_settled(page)
    return page


def becomes(page: Any, wanted: Callable[[], bool]) -> bool:
    """Whether it becomes true within ten seconds: the page draws when it can."""
    for _ in range(200):
        if wanted():
            return True
        page.wait_for_timeout(50)
    return wanted()


def file_size(page: Any) -> int:
    """Return the bytes of the file that is shown."""
    return int(re.sub(r"\D", "", page.locator("#f-bytes").get_attribute("title")))


def press_quality(page: Any, key: str) -> None:
    """Move the quality's slider with a key, and wait for the result."""
    before = page.locator("#f-bytes").get_attribute("title")
    page.locator("#quality").press(key)
    expect(page.locator("#f-bytes")).not_to_have_attribute("title", before)


def delay(monkeypatch: pytest.MonkeyPatch, app: Any, name: str, seconds: float) -> None:
    """Let the pool's method of that name take longer."""
    method = getattr(app.state.service.pool, name)

    async def slow_method(*arguments: Any) -> Any:
        await asyncio.sleep(seconds)
        return await method(*arguments)

    monkeypatch.setattr(app.state.service.pool, name, slow_method)


def canvas_pixels(page: Any) -> str:
    """Return what is on the canvas."""
    pixels: str = page.evaluate("() => document.getElementById('canvas').toDataURL()")
    return pixels


def encode_requests(page: Any) -> list[dict[str, Any]]:
    """Return the list that the bodies of requests for encodings are added to from now on."""
    bodies: list[dict[str, Any]] = []

    def add(request: Any) -> None:
        if request.url.endswith("/encode"):
            bodies.append(request.post_data_json)

    page.on("request", add)
    return bodies


def wait_for_frame(page: Any) -> None:
    """Wait for the next frame."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def drop(page: Any, name: str, data: bytes | int, how: str = "drop") -> None:
    """Drop or paste a file of these bytes, or of that many zeros."""
    page.evaluate(DROP, [name, data if isinstance(data, int) else list(data), how])
