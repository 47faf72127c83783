"""`tacit demo`."""

from __future__ import annotations

import pytest

from tacit import cli
from tacit.demo import page

pytestmark = pytest.mark.usefixtures("folder")


def test_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(page, "make_page", made.append)
    assert cli.main(["demo", "-o", "page"]) == 0
    assert made == ["page"]
