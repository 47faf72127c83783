"""The OpenAPI document: what it says, and that the service keeps to it, whatever is sent (schemathesis)."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
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

from support.web_service import serving, work_here
from tacit import weights
from tacit.codec import Codec
from tacit.fileinfo import FileInfo
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
            model=str(codec.path),
            workers=1,
            pixel_limit=10_000,
            effort_limit=1,  # each level takes longer
            caption_url="http://127.0.0.1:9",
        )
        app = create_app(settings)

        work_here(app.state.service, patch)
        patch.setattr(WorkerPool, "healthy", True)
        patch.setattr(captions, "_ask_endpoint", lambda *_: "a dog")
        with serving(app, log_level="warning", lifespan="off") as address:
            yield schemathesis.openapi.from_url(f"{address}/openapi.json")


OPERATIONS = [
    ("POST", "/v1/encode"),
    ("POST", "/v1/decode"),
    ("POST", "/v1/find"),
    ("POST", "/v1/info"),
    ("POST", "/v1/caption"),
    ("GET", "/v1/results/{digest}"),
    ("GET", "/v1/models"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
]


POSITIVE = [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS]
NEGATIVE = [(*operation, GenerationMode.NEGATIVE) for operation in (*OPERATIONS[:3], OPERATIONS[5])]  # with parameters


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "mode"), POSITIVE + NEGATIVE)
def test_the_service_keeps_to_its_document(document: Any, method: str, path: str, mode: GenerationMode) -> None:
    """What fits the document is answered as it says; what does not is refused as it says."""

    @bounds(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=document[path][method].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, timeout=300)  # a busy machine takes long

    ask()


def test_examples_name_the_weights_in_the_package(document: Any) -> None:
    shipped = weights.describe(weights.locate(weights.DEFAULT))
    known = {weights.describe(weights.locate(name)).decode_hash.hex() for name in weights.SHIPPED}
    text = json.dumps(document.raw_schema)
    assert set(re.findall(r'"[0-9a-f]{16}"', text)) == {f'"{shipped.decode_hash.hex()}"'}
    assert shipped.decode_hash.hex() in known
    answer = document.raw_schema["paths"]["/v1/info"]["post"]["responses"]["200"]
    example = answer["content"]["application/json"]["example"]
    assert set(example) == {field.name for field in dataclasses.fields(FileInfo)}
    assert (example["model"], example["weights_hash"]) == (shipped.name, shipped.decode_hash.hex())


def test_the_document_has_all_there_is(document: Any) -> None:
    operations = [(result.ok().method.upper(), result.ok().path) for result in document.get_all_operations()]
    assert sorted(operations) == sorted(OPERATIONS)
