"""The OpenAPI document: FastAPI's, corrected where FastAPI does not know what the service does."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import FastAPI

from tacit import container, weights
from tacit.architectures import ARCHITECTURES
from tacit.fileinfo import FileInfo, info
from tacit.web.problems import Problem


def install(app: FastAPI, *, token: bool) -> None:
    """Correct the document that the application makes of itself.

    Errors are described as the problems that they are, examples name the weights in the package, and the bearer token
    is optional unless the service asks for one.

    Args:
        app: The application.
        token: Whether the service asks for a token.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = generate()
        schemas = document["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for methods in document["paths"].values():
            for operation in methods.values():
                if not token and "security" in operation:
                    operation["security"].insert(0, {})
        _add_examples(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _add_examples(document: dict[str, Any]) -> None:
    """Add examples that name the default weights of the package."""
    shipped = weights.describe(weights.locate(weights.DEFAULT))
    model = document["components"]["schemas"]["ModelResponse"]["properties"]
    model["name"]["examples"] = [shipped.name]
    model["architecture"]["examples"] = [shipped.architecture]
    model["weights_hash"]["examples"] = [shipped.decode_hash.hex()]
    answer = document["paths"]["/v1/info"]["post"]["responses"]["200"]
    answer["content"]["application/json"]["example"] = asdict(_example_info(shipped))


def _example_info(shipped: weights.WeightsInfo) -> FileInfo:
    """Return what the service says of a small file of the default weights."""
    header = container.Header(
        width=451,
        height=300,
        color=True,
        alpha=False,
        quality=50.0,
        model_id=ARCHITECTURES[shipped.architecture].number,
        weights_hash=shipped.decode_hash,
    )
    return info(container.write(header, container.Metadata(caption="a tabby cat"), None, [bytes(4096)]))
