"""`/viewer/`: the decoder for browsers and its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from support.web_service import problem
from tacit import viewer
from tacit.web.service import Service
from tacit.weights.decoding_part import decoding_part


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder of two files, as `make js` builds a larger one."""
    (tmp_path / "static" / "ort").mkdir(parents=True)
    (tmp_path / "static" / "client.js").write_text("export class Client {}")
    (tmp_path / "static" / "ort" / "runtime.wasm").write_bytes(b"wasm")
    (tmp_path / "secret.js").write_text("")
    monkeypatch.setattr(viewer, "STATIC", tmp_path / "static")


@pytest.mark.usefixtures("built")
def test_its_files_may_run_webassembly_and_are_kept_but_asked_about(bare: Callable[..., TestClient]) -> None:
    client = bare(token="secret")
    script = client.get("/viewer/client.js")
    assert (script.status_code, script.text) == (200, "export class Client {}")
    assert "javascript" in script.headers["content-type"]
    assert "script-src 'self' 'wasm-unsafe-eval';" in script.headers["content-security-policy"]
    assert script.headers["cross-origin-embedder-policy"] == "require-corp"
    assert script.headers["cache-control"] == "no-cache"
    again = client.get("/viewer/client.js", headers={"if-none-match": script.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/viewer/ort/runtime.wasm").headers["content-type"] == "application/wasm"
    for path in ("/viewer/none.js", "/viewer/%2e%2e/secret.js", "/viewer/weights/x.safetensors"):
        assert client.get(path).status_code in (404, 422)
    assert problem(client.post("/viewer/client.js"), 405)


def test_weights_come_without_what_an_encoder_needs(bare: Callable[..., TestClient]) -> None:
    client = bare()
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    shipped, own = (service.models()[name] for name in ("tacit-s", "tiny"))
    answer = client.get(f"/viewer/weights/{shipped.decode_hash.hex()}.safetensors")
    assert answer.content == decoding_part(shipped.path)
    assert "immutable" in answer.headers["cache-control"]
    problem(client.get(f"/viewer/weights/{16 * '0'}.safetensors"), 404)
    # with a token, weights of the operator's own are nobody's who lacks it
    closed = bare(token="secret")
    assert closed.get(f"/viewer/weights/{shipped.decode_hash.hex()}.safetensors").status_code == 200
    problem(closed.get(f"/viewer/weights/{own.decode_hash.hex()}.safetensors"), 404)
    assert own.graphs == (client.get(f"/viewer/weights/{own.decode_hash.hex()}.safetensors").status_code == 200)


def test_an_installation_without_it_says_so(
    bare: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "STATIC", tmp_path)
    client = bare()
    assert client.get("/preview").json()["viewer"] is False
    problem(client.get("/viewer/client.js"), 404)
