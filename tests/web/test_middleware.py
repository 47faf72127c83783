"""Names of the service, safe headers, and pages elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
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


def test_the_health_check_answers_to_any_address(bare: Callable[..., TestClient]) -> None:
    """The container asks 127.0.0.1, and others its address, where only the public name is allowed."""
    client = bare(hosts=("images.example.org", "0.0.0.0"))
    for host in ("127.0.0.1:8000", "172.18.0.2:8000", "images.example.org"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 503  # since this one has no workers


def test_headers_are_safe(web: httpx.Client) -> None:
    for path in ("/", "/healthz", "/openapi.json"):
        headers = web.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == policy["style-src"] == "'self'"
        assert headers["x-content-type-options"] == "nosniff"
        isolation = headers["cross-origin-opener-policy"], headers["cross-origin-embedder-policy"]
        assert isolation == ("same-origin", "require-corp")


def test_head_is_get_without_its_body(web: httpx.Client) -> None:
    for path in ("/", "/healthz", "/metrics", "/v1/models", "/openapi.json", "/v1/results/x", "/none"):
        head, get = web.head(path), web.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        if path != "/metrics":  # which counts these requests
            assert head.headers["content-length"] == get.headers["content-length"]
        assert head.headers["content-type"] == get.headers["content-type"]
    refused = web.head("/v1/encode")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert any('"HEAD"' in line and '"/v1/models"' in line for line in web.get("/metrics").text.split("\n"))


def test_a_list_may_come_in_several_lines(web: httpx.Client, tacit_file: bytes) -> None:
    lines = [("accept", "text/html"), ("accept", "image/png;q=0.1, image/webp")]
    answer = web.post("/v1/decode", content=tacit_file, headers=lines)
    assert answer.headers["content-type"] == "image/webp"
    tags = [("if-none-match", '"other"'), ("if-none-match", answer.headers["etag"])]
    assert web.get(answer.headers["content-location"], headers=tags).status_code == 304


@pytest.mark.parametrize("query", ["caption=caf%E9", "caption=%F0%9F%9B", "caf%e9=1", "caption=%ED%A0%80"])
def test_a_query_that_is_not_utf_8_is_refused(web: httpx.Client, upload: bytes, query: str) -> None:
    details = problem(web.post(f"/v1/encode?store_caption=true&{query}", content=upload), 422)
    assert details["detail"] == "the query must be UTF-8, got other bytes (percent-encoded or not)"
    assert web.post("/v1/encode?caption=caf%C3%A9", content=upload).status_code == 200
