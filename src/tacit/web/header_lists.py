"""Headers that are lists, which a client may send in one line or in several (RFC 9110, 5.3)."""

from __future__ import annotations

from starlette.requests import Request


def header_list(request: Request, name: str) -> str | None:
    """Return the lines of a header as one, or None where the request has none."""
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None
