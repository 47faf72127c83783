"""Errors are problem details."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from support.web_service import BODY_LIMIT, problem


@pytest.mark.parametrize(
    ("request_", "status", "detail"),
    [
        ({"url": "/v1/encode", "content": b"nothing"}, 415, "not an image of a known format"),
        ({"url": "/v1/encode", "content": b""}, 415, "not an image of a known format"),
        ({"url": "/v1/encode", "content": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"}, 415, "not an image"),
        ({"url": "/v1/encode?quality=101", "content": b"x"}, 422, "quality: Input should be less than or equal to 100"),
        ({"url": "/v1/encode?quality=nan", "content": b"x"}, 422, "quality: Input should be a finite number"),
        ({"url": "/v1/encode?qualty=10", "content": b"x"}, 422, "qualty: Extra inputs are not permitted"),
        ({"url": "/v1/encode", "json": {}}, 415, "of type image/, got Content-Type application/json"),
        ({"url": "/v1/encode", "files": {"file": b"x"}}, 415, "multipart/form-data"),
        ({"url": "/v1/decode", "content": b"nothing"}, 415, "not a .tacit file"),
        ({"url": "/v1/decode?crop=1,2,3", "content": b"x"}, 422, "crop: String should match pattern"),
        ({"url": "/v1/decode", "content": b"x", "headers": {"Accept": "image/gif"}}, 406, "one of image/png"),
        ({"url": "/v1/decode", "content": b"x", "headers": {"Content-Type": "image/png"}}, 415, "image/x-tacit"),
        ({"url": "/v1/info", "content": b"nothing"}, 415, "not a .tacit file"),
        ({"url": "/v1/encode", "content": b"x" * (BODY_LIMIT + 1)}, 413, f"at most {BODY_LIMIT} bytes"),
        ({"url": "/v1/caption", "content": b"x"}, 404, "has no captioner"),
        ({"url": "/nowhere", "method": "GET"}, 404, None),
        ({"url": "/nowhere"}, 405, None),  # where nothing is, the page's files might be
        ({"url": "/v1/encode", "method": "DELETE"}, 405, None),
        ({"url": "/v1/encode", "method": "GET"}, 405, None),
        ({"url": "/v1/results/" + "0" * 64, "method": "GET"}, 404, "not kept"),
        ({"url": "/v1/results/x", "method": "GET"}, 422, "digest: String should match pattern"),
    ],
)
def test_errors_are_problems(web: httpx.Client, request_: dict[str, Any], status: int, detail: str | None) -> None:
    request = dict(request_)
    answer = web.request(request.pop("method", "POST"), request.pop("url"), **request)
    details = problem(answer, status)
    assert (detail or "") in details.get("detail", "")
    if status == 422 and details["type"] == "about:blank":
        assert details["errors"][0]["in"]


def test_faults_are_problems_and_tell_nothing(
    bare: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = bare()

    async def fault(*_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(client.app.state.service.pool, "run", fault)  # type: ignore[attr-defined]
    answer = client.post("/v1/info", content=b"x")
    assert "secret" not in json.dumps(problem(answer, 500))
    assert "secret" in caplog.text
