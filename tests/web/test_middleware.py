"""Names of the service, safe headers, and pages elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from fastapi.testclient import TestClient

from support.web_service import problem


def test_pages_elsewhere_may_use_it_only_where_they_are_named(bare: Callable[..., TestClient]) -> None:
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in bare().options("/v1/encode", headers=headers).headers
    allowed = bare(origins=("https://a.example",))
    assert allowed.options("/v1/encode", headers=headers).headers["access-control-allow-origin"] == headers["Origin"]
    other = allowed.get("/v1/models", headers={"Origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_name_that_is_not_its_own_is_refused(bare: Callable[..., TestClient]) -> None:
    client = bare(hosts=("127.0.0.1", "::1"))
    for host, status in {"127.0.0.1:8000": 200, "[::1]:8000": 200, "127.0.0.1": 200, "evil.example": 421}.items():
        assert client.get("/v1/models", headers={"Host": host}).status_code == status
    problem(client.get("/v1/models", headers={"Host": "evil.example"}), 421)


def test_headers_are_safe(web: httpx.Client) -> None:
    for path in ("/", "/healthz", "/openapi.json"):
        headers = web.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
        assert headers["x-content-type-options"] == "nosniff"
