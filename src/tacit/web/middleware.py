"""What every request goes through: HEAD as GET, checks of host and query, safe headers, problems, and the count."""

from __future__ import annotations

import time
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tacit.web import problems
from tacit.web.metrics import ServiceMetrics


def policy(*scripts: str) -> str:
    """Return the content security policy of a page.

    It loads nothing from elsewhere, has no inline scripts or styles, and cannot be shown in another page's frame.

    Args:
        scripts: What it may run besides its own scripts, as the policy says it.
    """
    own = ["'self'", *scripts]
    return (
        f"default-src 'none'; script-src {' '.join(own)}; style-src 'self'; "
        "img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


SAFETY_HEADERS = {
    "content-security-policy": policy(),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    # Both together isolate the page, so that its decoder may have several threads.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

HEALTH = "/healthz"
"""What containers and load balancers ask, by whatever address the service has for them. It says nothing of anybody."""


class ServiceMiddleware:
    """The middleware around the application.

    Args:
        app: The application.
        metrics: What counts the requests.
        hosts: The names, without ports, by which the service may be called; none for any name. This refuses browsers
            that a page elsewhere has led here by a name of its own (DNS rebinding). `HEALTH` answers to any name.
    """

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics, hosts: tuple[str, ...] = ()) -> None:
        self._app, self._metrics, self._hosts = app, metrics, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = received = sent = 0
        method = scope["method"]
        if method == "HEAD":  # what GET would answer, without its body; no route needs to know of it
            scope = {**scope, "method": "GET"}

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
                for name, value in SAFETY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            elif method == "HEAD" and message.get("body"):
                message = {**message, "body": b""}
            sent += len(message.get("body", b""))
            await send(message)

        try:
            if self._hosts and scope["path"] != HEALTH and _host(scope) not in self._hosts:
                refusal = problems.response(421, f"the host must be {' or '.join(self._hosts)}")
                await refusal(scope, receive, safe_send)
                return
            if not _is_utf8(scope["query_string"]):
                refusal = problems.response(422, "the query must be UTF-8, got other bytes (percent-encoded or not)")
                await refusal(scope, receive, safe_send)
                return
            await self._app(scope, counted_receive, safe_send)
        except Exception as error:
            problem = problems.from_error(error)
            if status:  # an answer has begun
                raise
            await problem(scope, receive, safe_send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count(method, route, status, time.perf_counter() - start, received, sent)


def _is_utf8(query: bytes) -> bool:
    """Return whether a query is text; in its place, the framework would put replacement characters."""
    try:
        unquote_to_bytes(query).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _host(scope: Scope) -> str:
    """Return the name in the Host header, without port and brackets."""
    host = Headers(scope=scope).get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower()
