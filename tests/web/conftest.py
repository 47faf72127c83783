"""Fixtures of the service's tests: one service with two workers, its clients, and what they send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from support.pictures import synthetic
from support.web_service import BODY_LIMIT, PIXEL_LIMIT, image_bytes, served
from tacit.web.app import create_app
from tacit.web.client import Client
from tacit.web.service import Service
from tacit.web.settings import ServiceSettings


@pytest.fixture(scope="session")
def service_at(tiny_weights: Path) -> Iterator[tuple[str, Service]]:
    """The address of a service with low limits, and the service."""
    settings = ServiceSettings(
        model=str(tiny_weights), workers=2, queue=2, body_limit=BODY_LIMIT, pixel_limit=PIXEL_LIMIT, cache=2_000_000
    )
    with served(settings) as address_and_service:
        yield address_and_service


@pytest.fixture(scope="session")
def url(service_at: tuple[str, Service]) -> str:
    """The address of the service."""
    return service_at[0]


@pytest.fixture(scope="session")
def service(service_at: tuple[str, Service]) -> Service:
    """The service behind the address."""
    return service_at[1]


@pytest.fixture(scope="session")
def client(url: str) -> Iterator[Client]:
    """tacit's own client of the service."""
    with Client(url) as client:
        yield client


@pytest.fixture(scope="session")
def web(url: str) -> Iterator[httpx.Client]:
    """A client of the service that knows HTTP and nothing else."""
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture
def bare(tiny_weights: Path) -> Callable[..., TestClient]:
    """Makes a service that is not started: everything but its workers' work can be asked of it."""

    def make(**options: object) -> TestClient:
        return TestClient(create_app(ServiceSettings(model=str(tiny_weights), workers=1, **options)))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def upload() -> bytes:
    """An image of 150 x 100 pixels as PNG."""
    return image_bytes(Image.fromarray(synthetic(150, 100)))


@pytest.fixture(scope="session")
def tacit_file(client: Client, upload: bytes) -> bytes:
    """The same image as a `.tacit` file."""
    return client.encode(upload, "a dog", quality=70).data
