"""The token."""

from __future__ import annotations

from collections.abc import Callable

from fastapi.testclient import TestClient

from support.web_service import problem


def test_a_token_is_asked_for(bare: Callable[..., TestClient]) -> None:
    client = bare(token="s3cret")
    for path in ("/v1/models", "/metrics"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
            answer = client.get(path, headers=headers)
            problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get(path, headers={"Authorization": "Bearer s3cret"}).status_code == 200
    problem(client.post("/v1/encode", content=b"x"), 401)
    assert client.get("/healthz").status_code == 503  # open to all
    assert client.get("/openapi.json").json()["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
