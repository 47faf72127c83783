"""Answers that can be asked for again: `GET /v1/results/<sha256>`, whole, in part, or only if they have changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fastapi import Request
from fastapi.responses import Response

from tacit.web import problems
from tacit.web.service import Service
from tacit.web.store import Stored


def answer(
    service: Service, data: bytes, media_type: str, headers: Mapping[str, str], warnings: Iterable[str]
) -> Response:
    """A result of a POST: kept for a while, and sent with the name by which it can be had again."""
    stored = service.results.put(data, media_type)
    response = Response(data, headers={**headers, **_headers(service, stored)}, media_type=media_type)
    response.headers["content-location"] = f"/v1/results/{stored.digest}"
    for warning in warnings:
        response.headers.append("tacit-warning", _header_text(warning))
    return response


def again(service: Service, stored: Stored, request: Request) -> Response:
    """A stored result as `request` wants it: RFC 9110's conditions, and one range of bytes."""
    headers = _headers(service, stored)
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
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
    """The one range of bytes that is asked for, as begin and end; None where all shall be sent: without a range, and
    for several or a malformed one, which RFC 9110 lets a server ignore."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip(), re.IGNORECASE | re.ASCII)
    first, last = match.groups() if match else ("", "")
    if first and last and int(last) < int(first):
        return None
    if first:
        return int(first), min(int(last) + 1, size) if last else size
    return (max(0, size - int(last)), size) if last else None


def _headers(service: Service, stored: Stored) -> dict[str, str]:
    return {
        "etag": f'"{stored.digest}"',
        "accept-ranges": "bytes",
        "cache-control": f"private, max-age={service.settings.cache_time:.0f}, immutable",
    }


def _header_text(text: str) -> str:
    """What a header can hold."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:500]
