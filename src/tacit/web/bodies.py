"""Bodies of requests: raw bytes, in memory and never on disk, bounded in size, number and time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tacit.web.pool import Overloaded
from tacit.web.service import ServiceDep

# curl sends the last with --data-binary, whatever the data are
UNTYPED = ("", "application/octet-stream", "application/x-www-form-urlencoded")
LINGER_TIME, LINGER_BYTES = 2.0, 16 << 20

BINARY = {"schema": {"type": "string", "format": "binary"}}


async def body(request: Request, service: ServiceDep) -> AsyncIterator[bytes]:
    """A request's body, in memory, never on disk; refused as soon as it is known to be too large or nobody would have
    time for it, and where it takes too long to arrive. As many are read at a time as jobs can run and wait."""
    settings = service.settings
    service.pool.check()
    if service.bodies >= service.pool.capacity:
        raise Overloaded("as many requests are being read as can be worked on")
    service.bodies += 1
    try:
        yield await _read(request, settings.body_limit, settings.body_time)
    finally:
        service.bodies -= 1


async def _read(request: Request, limit: int, seconds: float) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        # One that asks first has sent nothing yet.
        if request.headers.get("expect", "").lower() != "100-continue":
            await _discard(request)
        raise _too_large(limit)
    read = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                read += chunk
                if len(read) > limit:
                    break
    except TimeoutError as error:
        raise HTTPException(
            408, f"the body did not arrive within {seconds:g} seconds", {"connection": "close"}
        ) from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the body has ended too early") from error
    if len(read) > limit:
        read.clear()
        await _discard(request)
        raise _too_large(limit)
    return bytes(read)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"a body of more than {limit} bytes", {"connection": "close"})


async def _discard(request: Request) -> None:
    """Take some of what a client is still sending: it would not see an answer to a connection that is closed on it."""
    discarded = 0
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(LINGER_TIME):
            while discarded < LINGER_BYTES:
                message = await request.receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                discarded += len(message.get("body", b""))


Body = Annotated[bytes, Depends(body)]


def typed(prefix: str) -> Any:
    """A dependency of a route that refuses bodies of types that do not begin with `prefix`; before they are read."""

    def check(content_type: Annotated[str, Header(include_in_schema=False)] = "") -> None:
        given = content_type.partition(";")[0].strip().lower()
        if given not in UNTYPED and not given.startswith(prefix):
            raise HTTPException(415, f"Content-Type {given}: {prefix} is needed, the bytes as they are")

    return Depends(check)


def described(text: str, *types: str) -> dict[str, Any]:
    """A route's `openapi_extra` that says what its body is."""
    return {"requestBody": {"required": True, "description": text, "content": dict.fromkeys(types, BINARY)}}
