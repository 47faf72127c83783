"""Take the pictures of the web page and measure its speed: `python -m benchmarks.page [--pictures] [--time]`.

Without an option, both are done. --pictures writes docs/images/page-*.webp with the shipped weights. --time writes
results/page.json: the browser's times, for an image of one megapixel (samples of scikit-image, side by side), from a
move of the quality slider to the image, from a move of the size slider, and from the choice of an image to its first
picture. Each time is split into these steps:

    open    until the page has the image            wait    until a request is sent
    encode  the codec in the worker: the file, and what it decodes to
    pack    writing the decoded image as a file     send    all else until the page has it: HTTP, queue, processes
    read    decoding that file in the browser       draw    until it is on the canvas

The benchmark needs two quiet cores and Chromium.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.environment import describe_machine
from tacit import weights
from tacit.demo.samples import SAMPLES, sample_image
from tacit.evaluation.readable_json import dumps
from tacit.web.app import create_app
from tacit.web.server import uvicorn_config
from tacit.web.settings import ServiceSettings

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
SIDE = 512


def main() -> int:
    """Take the pictures and measure the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--steps", type=int, default=24, help="of a slider; a third as many photographs are opened")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "page.json", help="of --time")
    arguments = parser.parse_args()
    expect.set_options(timeout=180_000)
    with _service() as address, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        if arguments.time or not arguments.pictures:
            page = browser.new_page()
            measured = _timed(page, address, arguments.steps)
            arguments.output.write_text(dumps({**_about(browser.version), **measured}))
            for name in ("quality", "size", "first"):
                print(name, {key: value for key, value in measured[name].items() if key != "each_ms"})
        if arguments.pictures or not arguments.time:
            for name, options in VIEWS.items():
                page = browser.new_page(**options)
                page.goto(address)
                _arrange(page, name)
                _save(page, ROOT / "docs" / "images" / f"page-{name}.webp")
        browser.close()
    return 0


@contextmanager
def _service() -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn_config(create_app(ServiceSettings(time_limit=600))))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    while not server.started:
        if not thread.is_alive():
            sys.exit("the service has not started")
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def _about(browser: str) -> dict[str, Any]:
    return {
        "command": "python -m benchmarks.page --time",
        "weights": weights.describe(weights.locate(weights.DEFAULT)).decode_hash.hex(),
        "browser": f"Chromium {browser}",
        "load_average": round(os.getloadavg()[0], 2),
        **describe_machine(),
    }


# -- speed ------------------------------------------------------------------------------------------------------------


def _timed(page: Page, address: str, steps: int) -> dict[str, Any]:
    """Move the slider, and wait for each image before the next move, as a person who looks would."""
    mosaic = Image.new("RGB", (2 * SIDE, 2 * SIDE))
    for place, sample in enumerate(SAMPLES):
        photo = sample_image(sample.name)
        scale = SIDE / min(photo.size)
        photo = photo.resize((round(photo.width * scale), round(photo.height * scale)))
        mosaic.paste(photo.crop((0, 0, SIDE, SIDE)), (SIDE * (place % 2), SIDE * (place // 2)))
    with tempfile.TemporaryDirectory() as folder:
        first = []
        for number in range(1 + max(1, steps // 3)):  # the first does not count: the browser is new
            path = Path(folder) / f"mosaic-{number}.jpg"
            mosaic.save(path, quality=92, comment=str(number))
            page.goto(address)
            page.wait_for_load_state("networkidle")  # the samples are there before anybody has chosen a file
            page.set_input_files("#pick", path)
            _settled(page)
            after = _latency(page)
            whole = float(page.locator("#f-latency").get_attribute("data-first") or "nan")
            first.append({"all": whole, "open": whole - after.pop("all"), **after})
    qualities = []
    for step in range(steps):
        quality = 20 + (37 * step) % 71  # up and down, 20 to 90
        page.locator("#quality-number").fill(str(quality))
        expect(page.locator("#announcement")).to_contain_text(f"Quality {quality}:")
        qualities.append(_latency(page))
        _settled(page)  # the times of encoding and decoding are measured then: not while the next is under way
    sizes = []
    page.get_by_role("radio", name="Size").check()
    _settled(page)
    for step in range(steps):
        size = 20 + (37 * step) % 71  # kB
        before = page.locator("#announcement").inner_text()
        page.locator("#size-number").fill(str(size))
        page.locator("#size-number").press("Enter")
        expect(page.locator("#announcement")).not_to_have_text(before)
        sizes.append(_latency(page))
        _settled(page)
    return {
        "pixels": mosaic.width * mosaic.height,
        "quality": _summary(qualities),
        "size": _summary(sizes),
        "first": _summary(first[1:]),
    }


def _latency(page: Page) -> dict[str, float]:
    """Return the milliseconds from the slider to the image, in all and step by step."""
    found = page.locator("#f-latency")
    return {
        "all": float(found.get_attribute("data-ms") or "nan"),
        **json.loads(found.get_attribute("data-steps") or "{}"),
    }


def _summary(times: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "median_ms": round(statistics.median(time["all"] for time in times)),
        "longest_ms": round(max(time["all"] for time in times)),
        "medians_ms": {
            name: round(statistics.median(time[name] for time in times), 1) for name in times[0] if name != "all"
        },
        "each_ms": [round(time["all"]) for time in times],
    }


def _settled(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    expect(page.locator("#f-latency")).to_have_attribute("data-ms", re.compile(r"\d"))
    expect(page.locator("#f-decode")).to_have_text(re.compile(r"\d"))


# -- pictures ---------------------------------------------------------------------------------------------------------

VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 780},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}


def _arrange(page: Page, name: str) -> None:
    """Yield the same page in three arrangements: light, dark and on a phone."""
    sample = {"light": "chelsea", "dark": "astronaut", "phone": "coffee"}[name]
    page.locator(f"[data-sample={sample}]").click()
    _settled(page)
    quality = {"light": "30", "dark": "55", "phone": "40"}[name]
    page.locator("#quality-number").fill(quality)
    expect(page.locator("#announcement")).to_contain_text(f"Quality {quality}:")
    _settled(page)
    if name == "light":
        page.get_by_role("tab", name="JPEG").click()
        page.get_by_label("compare with tacit").check()
        expect(page.locator("#remark")).to_contain_text("PSNR")
    if name != "phone":
        page.locator("#curve-run").click()
        expect(page.locator("#curve-run")).to_be_hidden()
        page.locator(".side").evaluate("side => side.scrollTo(0, 0)")
    if name == "dark":
        page.get_by_role("radio", name="With caption").check()
        expect(page.locator("#legend")).to_be_visible()
    expect(page.locator("#words")).to_be_visible()
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    page.mouse.move(0, 0)


def _save(page: Page, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(path, quality=88, method=6)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
