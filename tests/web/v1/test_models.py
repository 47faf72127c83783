"""`GET /v1/models`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from support.web_service import BODY_LIMIT, PIXEL_LIMIT
from tacit.web.client import Client


def test_the_models(client: Client, web: httpx.Client) -> None:
    default, *others = client.models()
    assert (default.name, default.architecture, default.default) == ("tiny", "tacit-s", True)
    assert not any(model.default for model in others)
    about = web.get("/v1/models").json()
    assert (about["body_limit"], about["pixel_limit"], about["captioner"]) == (BODY_LIMIT, PIXEL_LIMIT, None)
    assert about["effort_limit"] == 9


def test_a_broken_weights_file_is_no_model(
    bare: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    monkeypatch.setenv("TACIT_WEIGHTS", str(tmp_path))
    assert "broken" not in [model["name"] for model in bare().get("/v1/models").json()["models"]]
