"""What uvicorn answers without the application."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from support.web_service import serving
from tacit.web.app import create_app
from tacit.web.settings import ServiceSettings


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + 99 * b"\0" + b"\r\n\r\n"]
)
def test_what_is_no_http_is_answered_with_a_problem_too(url: str, sent: bytes) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(sent)
        raw.settimeout(30)
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert status == "HTTP/1.1 400 Bad Request"
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    assert headers["x-content-type-options"] == "nosniff"
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "Invalid HTTP request received.",
    }


def _received(url: str, *pieces: bytes, pause: float = 0.0) -> tuple[bytes, float]:
    """What a server has answered by the time that it closed the connection, and how long that took in seconds."""
    host, port = url.removeprefix("http://").split(":")
    start = time.monotonic()
    with socket.create_connection((host, int(port))) as raw:
        raw.settimeout(30)
        with contextlib.suppress(ConnectionError):  # it may be closed while we still send
            for piece in pieces:
                raw.sendall(piece)
                time.sleep(pause)
        answer = bytearray()
        with contextlib.suppress(ConnectionError):
            while piece := raw.recv(4096):
                answer += piece
    return bytes(answer), time.monotonic() - start


@pytest.fixture(scope="module")
def impatient(tiny_weights: Path) -> Iterator[str]:
    """The address of a service that waits half a second for headers."""
    app = create_app(ServiceSettings(model=str(tiny_weights), workers=1, header_time=0.5))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield  # without workers

    app.router.lifespan_context = lifespan
    with serving(app) as url:
        yield url


def test_a_connection_that_is_silent_is_closed(impatient: str) -> None:
    answer, seconds = _received(impatient)
    assert answer == b""
    assert 0.4 < seconds < 10


@pytest.mark.parametrize("dripping", [False, True])
def test_headers_that_never_end_are_answered(impatient: str, dripping: bool) -> None:
    pieces = [b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-"] + (100 * [b"a"] if dripping else [])
    answer, seconds = _received(impatient, *pieces, pause=0.05 if dripping else 0)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert json.loads(body)["detail"] == "the headers of a request did not arrive within 0.5 seconds"
    assert 0.4 < seconds < 15


def test_the_time_is_for_each_request_and_for_what_follows_one(impatient: str) -> None:
    request = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
    answer, seconds = _received(impatient, request, request, request[:-4], pause=0.3)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b"HTTP/1.1 408 ") == 1
    assert seconds > 0.9
    # a body that nobody reads, and that never ends
    endless = b"POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    answer, seconds = _received(impatient, endless, *(100 * [b"x"]), pause=0.05)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert seconds < 15


def test_a_body_that_is_no_http_after_the_answer_has_begun_does_no_harm(url: str, web: httpx.Client) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"POST /v1/encode HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        raw.settimeout(30)
        assert b"400 Bad Request" in b"".join(iter(lambda: raw.recv(4096), b""))
    assert web.get("/healthz").status_code == 200
