"""A service for tests: served over HTTP, and what tests check of its answers."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from PIL import Image

from tacit.web.app import create_app
from tacit.web.server import uvicorn_config
from tacit.web.service import Service
from tacit.web.settings import ServiceSettings

BODY_LIMIT, PIXEL_LIMIT = 400_000, 150_000  # of the service that most tests share


@contextlib.contextmanager
def serving(app: FastAPI, **options: Any) -> Iterator[str]:
    """Serve an application on a free port of loopback, and give its address.

    Args:
        app: The application.
        options: Of `uvicorn.Config`, instead of the service's own configuration.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, **options) if options else uvicorn_config(app))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        assert thread.is_alive(), "the service has not started"
        assert time.monotonic() < deadline, "the service does not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@contextlib.contextmanager
def served(settings: ServiceSettings) -> Iterator[tuple[str, Service]]:
    """Serve a service, and give its address and the service itself."""
    app = create_app(settings)
    with serving(app) as address:
        yield address, app.state.service


def work_here(service: Service, patch: Any) -> None:
    """Let the service do its work in this process, without workers."""

    async def run(function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    patch.setattr(service.pool, "run", run)


def image_bytes(image: Image.Image, **options: Any) -> bytes:
    """Return an image as a file, PNG unless a `format` is given."""
    stream = io.BytesIO()
    image.save(stream, options.pop("format", "PNG"), **options)
    return stream.getvalue()


def problem(answer: Any, status: int) -> dict[str, Any]:
    """Check that an answer is a problem as in RFC 9457, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    details: dict[str, Any] = answer.json()
    assert details["status"] == status
    assert details["title"]
    assert details["type"] == "about:blank" or details["type"].startswith("urn:tacit:")
    return details
