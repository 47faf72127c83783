"""Fixtures of the page's tests: headless Chromium, driven by Playwright, on a service with a small model."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install 'tacit[dev]'")

from support.page import CAPTION, PATIENCE, Visit  # noqa: E402
from support.pictures import synthetic  # noqa: E402
from support.web_service import serving  # noqa: E402
from tacit import viewer  # noqa: E402
from tacit.web.app import create_app  # noqa: E402
from tacit.web.settings import ServiceSettings  # noqa: E402

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")


@pytest.fixture(autouse=True)
def no_viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service decodes, unless a test is about decoding in the browser: that would take seconds to load."""
    monkeypatch.setattr(viewer, "STATIC", tmp_path / "no viewer")


@pytest.fixture(scope="session")
def app(tiny_weights: Path) -> Any:
    """The service behind the page."""
    settings = ServiceSettings(model=str(tiny_weights), workers=1, threads=1, body_limit=1_000_000, time_limit=300)
    return create_app(settings)


@pytest.fixture(scope="session")
def address(app: Any) -> Iterator[str]:
    """The address of the page."""
    with serving(app) as address:
        yield address


@pytest.fixture(scope="package")  # and not of the session: its event loop would be in the way of other tests' own
def browser() -> Iterator[Any]:
    """One Chromium for all tests of the page; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    """Opens the page in a window of its own.

    Whatever a test does, the page must ask nothing of anybody else, break no policy and have no errors.

    Arguments of the function:
        statuses: Of answers that the test is about.
        answers: By path, instead of the service's.
        token: That the service asks for.
    """
    contexts: list[Any] = []
    violations: list[str] = []
    expected: list[int] = []  # the browser logs them as errors

    def open_window(
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
                violations.append(f"asks for {request.url}")
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
        page.on("pageerror", lambda error: violations.append(f"error: {error}"))

        def check_message(message: Any) -> None:
            if message.type == "error" and not any(f"status of {status}" in message.text for status in expected):
                violations.append(f"logs: {message.text}")

        page.on("console", check_message)
        page.goto(address)
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert violations == []


@pytest.fixture(scope="session")
def image_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with a caption in its metadata."""
    path = tmp_path_factory.mktemp("page") / "lake.png"
    exif = Image.Exif()
    exif[0x010E] = CAPTION  # ImageDescription
    Image.fromarray(synthetic(208, 144)).save(path, exif=exif)
    return path
