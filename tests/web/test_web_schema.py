"""The OpenAPI document: what it says, and that the service keeps to it, whatever is sent (schemathesis)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given
from hypothesis import settings as bounds
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tacit.codec import Codec
from tacit.web.app import create_app
from tacit.web.settings import ServiceSettings
from tacit.web.v1 import captions
from tacit.web.workers.pool import WorkerPool

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def document(codec: Codec) -> Iterator[Any]:
    """The document of a service whose work is done in this process, without workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tacit.web.workers.codecs._codec", codec)
        settings = ServiceSettings(
            model=str(codec.path), workers=1, pixel_limit=10_000, caption_url="http://127.0.0.1:9"
        )
        app = create_app(settings)

        async def here(function: Callable[..., Any], *arguments: Any) -> Any:
            return function(*arguments)

        patch.setattr(app.state.service.pool, "run", here)
        patch.setattr(WorkerPool, "healthy", True)
        patch.setattr(captions, "_ask_endpoint", lambda *_: "a dog")
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
            thread = threading.Thread(target=server.run, args=([listening],))
            thread.start()
            yield schemathesis.openapi.from_url(f"http://127.0.0.1:{listening.getsockname()[1]}/openapi.json")
            server.should_exit = True
            thread.join()


OPERATIONS = [
    ("POST", "/v1/encode"),
    ("POST", "/v1/decode"),
    ("POST", "/v1/info"),
    ("POST", "/v1/caption"),
    ("GET", "/v1/results/{digest}"),
    ("GET", "/v1/models"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
]


POSITIVE = [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS]
NEGATIVE = [(*operation, GenerationMode.NEGATIVE) for operation in (*OPERATIONS[:2], OPERATIONS[4])]  # with parameters


@pytest.mark.parametrize(("method", "path", "mode"), POSITIVE + NEGATIVE)
def test_the_service_keeps_to_its_document(document: Any, method: str, path: str, mode: GenerationMode) -> None:
    """What fits the document is answered as it says; what does not is refused as it says."""

    @bounds(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=document[path][method].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()


def test_the_document_has_all_there_is(document: Any) -> None:
    found = [(result.ok().method.upper(), result.ok().path) for result in document.get_all_operations()]
    assert sorted(found) == sorted(OPERATIONS)
