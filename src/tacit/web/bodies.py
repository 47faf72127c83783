"""Bodies of requests: raw bytes in memory, never on disk, limited in size, number and time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tacit.web.content_encodings import DECODERS, TooLarge, body_encoding
from tacit.web.header_lists import header_list
from tacit.web.media_types import OCTETS
from tacit.web.service import ServiceDep
from tacit.web.workers.errors import Overloaded

UNTYPED = ("", OCTETS, "application/x-www-form-urlencoded")  # curl --data-binary sends the last, whatever the data are
DISCARD_TIME, DISCARD_BYTES = 2.0, 16 << 20  # seconds and bytes that are still read of a body that is refused

BINARY = {"schema": {"type": "string", "format": "binary"}}
"""What OpenAPI calls a body of raw bytes."""


async def body(request: Request, service: ServiceDep) -> AsyncIterator[bytes]:
    """Read a request's body into memory.

    At most as many bodies are read at a time as jobs can run and wait.

    Raises:
        Overloaded: No worker would have time for the request.
        Closing: The service is shutting down.
        HTTPException: The body is too large, takes too long to arrive, ends too early, or is not encoded as it says.
    """
    settings = service.settings
    encoding = body_encoding(header_list(request, "content-encoding"))
    service.pool.check()
    if service.bodies >= service.pool.capacity:
        raise Overloaded("too many requests are being read")
    service.bodies += 1
    try:
        data = await _read(request, settings.body_limit, settings.body_time)
        yield data if encoding is None else await asyncio.to_thread(_decoded, data, encoding, settings.body_limit)
    finally:
        service.bodies -= 1


Body = Annotated[bytes, Depends(body)]


def typed(prefix: str) -> Any:
    """Return a dependency that refuses a body whose media type does not begin with `prefix`, before it is read."""

    def check(content_type: Annotated[str, Header(include_in_schema=False)] = "") -> None:
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type not in UNTYPED and not media_type.startswith(prefix):
            raise HTTPException(
                415, f"the body must be the bytes of a file of type {prefix}, got Content-Type {media_type}"
            )

    return Depends(check)


def described(text: str, *types: str) -> dict[str, Any]:
    """Return a route's `openapi_extra` that describes its body."""
    return {"requestBody": {"required": True, "description": text, "content": dict.fromkeys(types, BINARY)}}


async def _read(request: Request, limit: int, seconds: float) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        # A client that waits for "100 Continue" has sent nothing yet.
        if request.headers.get("expect", "").lower() != "100-continue":
            await _discard(request)
        raise _too_large(limit)
    data = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                data += chunk
                if len(data) > limit:
                    break
    except TimeoutError as error:
        raise HTTPException(
            408, f"the body did not arrive within {seconds:g} seconds", {"connection": "close"}
        ) from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the body ended too early") from error
    if len(data) > limit:
        data.clear()
        await _discard(request)
        raise _too_large(limit)
    return bytes(data)


def _decoded(data: bytes, encoding: str, limit: int) -> bytes:
    try:
        return DECODERS[encoding](data, limit)
    except TooLarge:
        raise _too_large(limit) from None
    except ValueError as error:
        detail = f"the body must be {encoding} data, as Content-Encoding says, got other bytes ({error})"
        raise HTTPException(400, detail) from None


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the body must have at most {limit} bytes", {"connection": "close"})


async def _discard(request: Request) -> None:
    """Read some of what a client is still sending: it would not see an answer if its connection were closed at once."""
    discarded = 0
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(DISCARD_TIME):
            while discarded < DISCARD_BYTES:
                message = await request.receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                discarded += len(message.get("body", b""))
