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
def test_its_files_come_compressed_to_who_takes_that(bare: Callable[..., TestClient]) -> None:
    runtime = b"wasm" * 10_000
    (viewer.STATIC / "ort" / "runtime.wasm").write_bytes(runtime)
    (viewer.STATIC / "icon.png").write_bytes(b"png" * 1000)
    client, path = bare(), "/viewer/ort/runtime.wasm"
    plain = client.get(path, headers={"accept-encoding": "identity"})
    packed = client.get(path, headers={"accept-encoding": "br, gzip;q=0.5"})
    assert plain.content == packed.content == runtime
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(runtime) / 10
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    for name in ("content-type", "cache-control", "content-security-policy", "last-modified"):
        assert plain.headers[name] == packed.headers[name]
    # two sets of bytes have two tags, and each is recognized
    tags = [answer.headers["etag"] for answer in (plain, packed)]
    assert len(set(tags)) == 2
    for tag in tags:
        again = client.get(path, headers={"if-none-match": f'"other", W/{tag}'})
        assert (again.status_code, again.headers["etag"]) == (304, tag)
    # a part is one of the file itself, and only of the file that its tag names
    part = client.get(path, headers={"range": "bytes=2-5", "if-range": tags[0]})
    assert (part.status_code, part.content) == (206, b"smwa")
    assert client.get(path, headers={"range": "bytes=2-5", "if-range": tags[1]}).content == runtime
    # a file that has changed is compressed again
    (viewer.STATIC / "ort" / "runtime.wasm").write_bytes(b"new" * 10_000)
    assert client.get(path).content == b"new" * 10_000
    assert "content-encoding" not in client.get("/viewer/icon.png").headers  # which would gain nothing


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
    assert answer.headers["content-encoding"] == "gzip"
    plain = client.get(f"/viewer/weights/{shipped.decode_hash.hex()}.safetensors", headers={"accept-encoding": ""})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    assert int(answer.headers["content-length"]) < 0.8 * int(plain.headers["content-length"])
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
