"""Errors as problem details (RFC 9457): every answer with a status of 400 or more is one.

`type` is a URN that names the kind of error, `title` describes the kind, `detail` this case, and `errors` lists what is
wrong with parameters. Clients distinguish kinds by `type`: `urn:tacit:InvalidInput` is the error of that name in
`tacit.errors`; `about:blank` means nothing more than the status.
"""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from tacit import errors
from tacit.web.workers.errors import Overloaded, PoolError

MEDIA_TYPE = "application/problem+json"
URN = "urn:tacit:"

# The first class of which an error is an instance decides.
STATUSES: tuple[tuple[type[errors.TacitError], int], ...] = (
    (errors.ImageTooLarge, 413),
    (errors.UnsupportedFile, 415),
    (errors.FileError, 422),
    (errors.InvalidInput, 422),
    (errors.UnknownModel, 422),
    (errors.MissingWeights, 422),
    (errors.CaptionerError, 502),
    (Overloaded, 429),
    (PoolError, 503),
)

logger = logging.getLogger("tacit.web")


class Problem(BaseModel):
    """Problem details as in RFC 9457."""

    type: str = Field("about:blank", examples=["urn:tacit:InvalidInput"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str | None = Field(None, examples=["quality must be 0 to 100, got 101"])
    errors: list[dict[str, Any]] | None = None


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses` for these statuses and for those that every route may answer."""
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": http.HTTPStatus(status).phrase, "content": {MEDIA_TYPE: reference}}
        for status in sorted({401, 421, 500, *statuses})
    }


WORK = documented(400, 408, 413, 415, 422, 429, 503)
"""The `responses` of a route that takes a body and works on it."""


def response(
    status: int,
    detail: str | None = None,
    *,
    kind: str | None = None,
    errors: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return a problem as a response.

    Args:
        status: The HTTP status.
        detail: What is wrong in this case.
        kind: The name of the error, which becomes the URN; None for `about:blank`.
        errors: What is wrong with each parameter.
        headers: Further headers.
    """
    problem = Problem(
        type="about:blank" if kind is None else URN + kind,
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=errors,
    )
    return JSONResponse(problem.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def from_error(error: Exception) -> JSONResponse:
    """Return the response to an error.

    An error that is not one of tacit's is a bug: it is logged, and the client learns nothing about it.
    """
    for kind, status in STATUSES:
        if isinstance(error, kind):
            retry = error.retry_after if isinstance(error, PoolError) else None
            headers = {} if retry is None else {"retry-after": str(retry)}
            detail = error.for_clients if isinstance(error, errors.MissingWeights) else str(error)
            return response(status, detail, kind=type(error).__name__, headers=headers)
    logger.error("%s: %s", type(error).__name__, error, exc_info=error)
    return response(500)


def _allowed(request: Request) -> list[str]:
    """Return the methods that any route has for a request's path."""
    routes = request.app.router.routes
    scopes = {method: {**request.scope, "method": method} for method in ("GET", "POST")}
    allowed = [m for m, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]
    return ["GET", "HEAD", *allowed[1:]] if "GET" in allowed else allowed


def install(app: FastAPI) -> None:
    """Make every error of the application a problem; errors that are bugs are left to the middleware."""

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        phrase = http.HTTPStatus(error.status_code).phrase
        detail = None if error.detail == phrase else error.detail
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        if error.status_code == 405 and (allowed := _allowed(request)):
            # The error names the methods of one route, but several may have this path.
            headers["allow"] = ", ".join(allowed)
        return response(error.status_code, detail, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        problems = [{"in": list(map(str, one["loc"])), "detail": one["msg"]} for one in error.errors()]
        named = (f"{_parameter(one['in'])}: {one['detail']}" for one in problems)
        return response(422, "; ".join(named), errors=problems)

    @app.exception_handler(errors.TacitError)
    async def tacit_error(request: Request, error: errors.TacitError) -> Response:
        return from_error(error)


def _parameter(place: list[str]) -> str:
    """Return the name of the parameter at a place, which may end in the number of a value of a list."""
    return next((part for part in reversed(place) if not part.isdecimal()), place[-1])
