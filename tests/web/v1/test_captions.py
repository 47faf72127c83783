"""`POST /v1/caption`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from support.chat_server import Server as ChatServer
from support.web_service import work_here


def test_captions_come_from_the_endpoint_that_was_named(
    chat_server: ChatServer, bare: Callable[..., TestClient], upload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = bare(caption_url=chat_server.url, caption_model="gpt-4o-mini")
    work_here(client.app.state.service, monkeypatch)  # type: ignore[attr-defined]
    answer = client.post("/v1/caption", content=upload)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == "gpt-4o-mini"
    assert answer.json()["caption"]
    assert client.get("/v1/models").json()["captioner"] == "gpt-4o-mini"
