"""A chat endpoint on loopback, as OpenAI's protocol has it, that misbehaves in every way that it is told to."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-0123456789abcdef"

Reply = Callable[["Handler"], None]


class Server:
    """Answers with `replies` in turn, then with the last of them for ever; keeps what it was asked, and when."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [caption("a red boat")]
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.lock = threading.Lock()
        self.together = self.most = 0
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.state = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        state: Server = self.server.state  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with state.lock:
            state.times.append(time.monotonic())
            state.asked.append(json.loads(body))
            state.headers.append(dict(self.headers))
            reply = state.replies.pop(0) if len(state.replies) > 1 else state.replies[0]
            state.together += 1
            state.most = max(state.most, state.together)
        try:
            reply(self)
        finally:
            with state.lock:
                state.together -= 1

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def caption(text: str | None, finish: str = "stop", refusal: str | None = None) -> Reply:
    choice = {"message": {"content": text, "refusal": refusal}, "finish_reason": finish}
    return body(json.dumps({"choices": [choice]}).encode())


def body(data: bytes, status: int = 200, **headers: str) -> Reply:
    return lambda handler: handler.say(status, data, **headers)


def error(status: int, message: str = "no", code: str | None = None, param: str | None = None, **headers: str) -> Reply:
    said = {"error": {"message": message, "code": code, "param": param}}
    return body(json.dumps(said).encode(), status, **headers)


def cut(handler: Handler) -> None:
    """Half of the answer that was promised."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def hang_up(handler: Handler) -> None:
    """No answer at all, not even a status."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def sleepy(handler: Handler) -> None:
    time.sleep(5)
    hang_up(handler)


def dripping(handler: Handler) -> None:
    """A byte now and then, always within the time that one read may take."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    try:
        for _ in range(120):
            handler.wfile.write(b" ")
            time.sleep(0.05)
    except OSError:
        pass  # the client has left, as it should
    handler.close_connection = True
