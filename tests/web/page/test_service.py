"""What the page does when the service refuses, forgets or asks for a token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.page import (
    Visit,
    expect,
    open_page,
    press_quality,
    wait_until_settled,
)
from tacit.web.workers.errors import Overloaded

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_photograph_that_the_service_has_let_go_is_sent_again(visit: Visit, image_file: Path, app: Any) -> None:
    page = open_page(visit, image_file, statuses=(404,))
    uploads = app.state.service.uploads
    uploads.seconds = -1  # all that is kept is too old when it is next looked for
    for digest in list(uploads._kept):
        uploads._drop(digest)
    uploads.seconds = 600
    press_quality(page, "End")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_busy_service_is_asked_again(
    visit: Visit, image_file: Path, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(visit, image_file, statuses=(429,))
    pool = app.state.service.pool
    check = pool.check
    refused: list[bool] = []

    def busy_once() -> None:
        if not refused:
            refused.append(True)
            raise Overloaded("the queue is full")
        check()

    monkeypatch.setattr(pool, "check", busy_once)
    press_quality(page, "End")
    assert refused
    expect(page.get_by_role("alert")).to_be_hidden()


def test_the_token_is_asked_for_once(visit: Visit, image_file: Path) -> None:
    page = visit(statuses=(401,), token="secret")
    dialog = page.get_by_role("dialog", name="This service asks for a token")
    dialog.get_by_label("Token").fill("secret")
    dialog.get_by_role("button", name="Continue").click()
    expect(page.locator("#kept")).to_contain_text("memory")
    page.set_input_files("#pick", image_file)
    wait_until_settled(page)
    expect(dialog).to_be_hidden()
