"""The OpenAPI document: FastAPI's, where that does not say what the service does."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tacit.web.problems import Problem


def install(app: FastAPI, *, token: bool) -> None:
    """Describe errors as the problems that they are, and the bearer token as what nobody asks for unless `token`."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = described()
        schemas = document["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for methods in document["paths"].values():
            for operation in methods.values():
                if not token and "security" in operation:
                    operation["security"].insert(0, {})
        return document

    app.openapi = openapi  # type: ignore[method-assign]
