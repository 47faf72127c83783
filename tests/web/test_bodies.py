"""Bodies of requests: in pieces, too large, too slow, and given up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from support.web_service import image_bytes, problem
from tacit.codec import Codec
from tacit.web.service import Service


def test_bodies_may_come_in_pieces(web: httpx.Client, upload: bytes) -> None:
    pieces = (upload[start : start + 1000] for start in range(0, len(upload), 1000))
    answer = web.post("/v1/encode", content=pieces)
    assert answer.status_code == 200, answer.text
    assert "content-length" in answer.headers
    assert re.fullmatch(r"work;dur=\d+\.\d", answer.headers["server-timing"])


@pytest.mark.slow
def test_limits_hold_before_anything_is_decoded(web: httpx.Client, service: Service, upload: bytes) -> None:
    # a picture of 20,000 x 20,000 pixels in its header, and no pixel behind it
    bomb = bytearray(image_bytes(Image.new("L", (1, 1))))
    header = b"IHDR" + (20_000).to_bytes(4, "big") * 2 + bytes(bomb[24:29])
    bomb[12:33] = header + zlib.crc32(header).to_bytes(4, "big")
    details = problem(web.post("/v1/encode", content=bytes(bomb)), 413)
    assert "at most 150000 pixels, got 20000 x 20000 = 400000000" in details["detail"]
    large = Codec(service.settings.model).encode(Image.new("L", (400, 400)))
    assert "at most 150000 pixels" in problem(web.post("/v1/decode", content=large), 413)["detail"]
    # a body that says it is too large is not waited for, one that does not say is cut off
    with socket.create_connection((web.base_url.host, web.base_url.port)) as raw:
        raw.sendall(b"POST /v1/encode HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")
    pieces = (b"x" * 65_536 for _ in range(1000))
    with contextlib.suppress(httpx.HTTPError):  # it may have hung up while we were still sending
        problem(web.post("/v1/encode", content=pieces), 413)


def test_slow_bodies_are_not_waited_for(bare: Callable[..., TestClient]) -> None:
    app = bare(body_time=0.05).app

    async def ask() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.02)
            return {"type": "http.request", "body": b"x", "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/encode", "headers": [], "query_string": b""}
        await app({**scope, "http_version": "1.1", "scheme": "http", "root_path": ""}, receive, send)
        return sent

    start, body, *_ = asyncio.run(ask())
    assert start["status"] == 408
    assert json.loads(body["body"])["detail"] == "the body did not arrive within 0.05 seconds"


def test_clients_that_leave_do_no_harm(url: str, service: Service, web: httpx.Client, upload: bytes) -> None:
    address = url.removeprefix("http://").split(":")
    for sent in (b"POST /v1/encode HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc", b"POST /v1/enc"):
        with socket.create_connection((address[0], int(address[1]))) as raw:
            raw.sendall(sent)
    head = f"POST /v1/encode HTTP/1.1\r\nHost: x\r\nContent-Length: {len(upload)}\r\n\r\n".encode()
    with socket.create_connection((address[0], int(address[1]))) as raw:
        raw.sendall(head + upload)
    assert web.post("/v1/encode", content=upload).status_code == 200
    deadline = time.monotonic() + 20
    while (service.bodies or service.pool.jobs) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (service.bodies, service.pool.jobs) == (0, 0)
