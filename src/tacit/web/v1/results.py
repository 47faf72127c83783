"""`GET /v1/results/<sha256>`: the body of an earlier answer again, whole, in part, or only if it has changed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from tacit.web import problems
from tacit.web.bodies import BINARY
from tacit.web.header_lists import header_list
from tacit.web.media_types import IMAGE_SUFFIXES, TACIT
from tacit.web.service import Service, ServiceDep
from tacit.web.store import StoredBytes

HEADERS: dict[str, Any] = {
    "ETag": {"description": "The SHA-256 of the body.", "schema": {"type": "string"}},
    "Content-Location": {"description": "Where the body is available for a while.", "schema": {"type": "string"}},
    "Server-Timing": {"description": "Milliseconds of the work, waiting included.", "schema": {"type": "string"}},
    "Tacit-Width": {"description": "The width in pixels.", "schema": {"type": "integer"}},
    "Tacit-Height": {"description": "The height in pixels.", "schema": {"type": "integer"}},
    "Tacit-Warning": {"description": "What could not be kept, or was damaged.", "schema": {"type": "string"}},
}
"""What OpenAPI says about the headers of a result's first answer."""

router = APIRouter(prefix="/v1")


def first_response(
    service: Service, data: bytes, media_type: str, headers: Mapping[str, str], warnings: Iterable[str]
) -> Response:
    """Return the answer to a POST; the data are kept for a while under the location that the answer names."""
    stored = service.results.put(data, media_type)
    response = Response(data, headers={**headers, **_headers(service, stored)}, media_type=media_type)
    response.headers["content-location"] = f"/v1/results/{stored.digest}"
    for warning in warnings:
        response.headers.append("tacit-warning", _header_text(warning))
    return response


def timing(start: float) -> dict[str, str]:
    """Return the Server-Timing header of work that began at `start`, a value of time.perf_counter()."""
    return {"server-timing": f"work;dur={1000 * (time.perf_counter() - start):.1f}"}


@router.get(
    "/results/{digest}",
    summary="Get a result again",
    response_class=Response,
    responses={
        200: {
            "description": "The result.",
            "content": dict.fromkeys((TACIT, *IMAGE_SUFFIXES), BINARY),
        },
        206: {"description": "The range of bytes that was asked for."},
        304: {"description": "The result is the one that If-None-Match names."},
        **problems.documented(404, 416, 422),
    },
)
async def result(
    request: Request, service: ServiceDep, digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
) -> Response:
    """The digest is the SHA-256 in the Content-Location of a POST's answer. Results are kept in memory for minutes."""
    stored = service.results.get(digest)
    if stored is None:
        raise HTTPException(404, "this result is not kept, or not any more; send the POST again")
    return _conditional_response(service, stored, request)


def _conditional_response(service: Service, stored: StoredBytes, request: Request) -> Response:
    """Return what the request asks for, by RFC 9110's conditions, with at most one range of bytes."""
    headers = _headers(service, stored)
    tags = [tag.strip().removeprefix("W/") for tag in (header_list(request, "if-none-match") or "").split(",")]
    if headers["etag"] in tags or "*" in tags:
        return Response(status_code=304, headers=headers)
    if request.headers.get("if-range", headers["etag"]) == headers["etag"]:
        size = len(stored.data)
        part = _range(request.headers.get("range", ""), size)
        if part is not None and part[0] >= part[1]:
            return problems.response(416, headers={"content-range": f"bytes */{size}"})
        if part is not None:
            headers["content-range"] = f"bytes {part[0]}-{part[1] - 1}/{size}"
            return Response(stored.data[slice(*part)], 206, headers, stored.media_type)
    return Response(stored.data, headers=headers, media_type=stored.media_type)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Return the begin and end of the one range of bytes that is asked for, or None to send everything.

    Everything is sent if there is no range, several ranges or a malformed one, which RFC 9110 lets a server ignore.
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip(), re.IGNORECASE | re.ASCII)
    first, last = match.groups() if match else ("", "")
    if first and last and int(last) < int(first):
        return None
    if first:
        return int(first), min(int(last) + 1, size) if last else size
    return (max(0, size - int(last)), size) if last else None


def _headers(service: Service, stored: StoredBytes) -> dict[str, str]:
    return {
        "etag": f'"{stored.digest}"',
        "accept-ranges": "bytes",
        "cache-control": f"private, max-age={service.settings.cache_time:.0f}, immutable",
    }


def _header_text(text: str) -> str:
    """Return the text with what a header cannot hold replaced, and not too long."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:500]
