"""What every answer goes through: headers that keep a page safe, faults made problems, and the count."""

from __future__ import annotations

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tacit.web import problems
from tacit.web.metrics import Metrics

# The page loads nothing from elsewhere, has no script or style in its text, and is shown in no other page's frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
SAFE = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Surroundings:
    """hosts: names by which the service may be called, without ports; none for any. A browser that a page elsewhere
    has led here by a name of that page's (DNS rebinding) is refused by it."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosts: tuple[str, ...] = ()) -> None:
        self._app, self._metrics, self._hosts = app, metrics, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = received = sent = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def safe_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SAFE.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            sent += len(message.get("body", b""))
            await send(message)

        try:
            if self._hosts and _host(scope) not in self._hosts:
                refusal = problems.response(421, f"this service is {' or '.join(self._hosts)}")
                await refusal(scope, receive, safe_send)
                return
            await self._app(scope, counted_receive, safe_send)
        except Exception as error:
            fault = problems.of(error)
            if status:  # too late to say so
                raise
            await fault(scope, receive, safe_send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.request(scope["method"], route, status, time.perf_counter() - begun, received, sent)


def _host(scope: Scope) -> str:
    """The name in the Host header, without port and brackets."""
    given = Headers(scope=scope).get("host", "")
    name = given[1:].partition("]")[0] if given.startswith("[") else given.partition(":")[0]
    return name.lower()
