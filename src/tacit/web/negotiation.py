"""Which of several media types a client wants (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence


def preferred(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that the Accept header likes best, the first of those that it likes equally; None if it likes none.

    Without a header every offer is as good. The most specific range that names an offer decides on it.
    """
    ranges = dict(_range(part) for part in (accept or "*/*").split(",") if part.strip())
    best, most = None, 0.0
    for offer in offers:
        names = (offer, offer.partition("/")[0] + "/*", "*/*")
        liked = next((ranges[name] for name in names if name in ranges), 0.0)
        if liked > most:
            best, most = offer, liked
    return best


def _range(part: str) -> tuple[str, float]:
    """A media range and its weight; one that cannot be read is refused."""
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
    return name, weight if 0 <= weight <= 1 else 0.0
