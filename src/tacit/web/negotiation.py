"""Which of several media types, and which encodings, a client wants (RFC 9110, 12.5.1 and 12.5.3)."""

from __future__ import annotations

from collections.abc import Sequence


def preferred(accept: str | None, offers: Sequence[str]) -> str | None:
    """Return the offer that an Accept header prefers, or None if it accepts no offer.

    The most specific range that matches an offer decides its weight. Among equal offers, and without a header, the
    first one is returned.
    """
    ranges = dict(_range(part) for part in (accept or "*/*").split(",") if part.strip())
    best, best_weight = None, 0.0
    for offer in offers:
        names = (offer, offer.partition("/")[0] + "/*", "*/*")
        weight = next((ranges[name] for name in names if name in ranges), 0.0)
        if weight > best_weight:
            best, best_weight = offer, weight
    return best


def accepts_encoding(accept: str | None, encoding: str) -> bool:
    """Return whether an Accept-Encoding header takes an encoding; without a header, nothing is encoded."""
    weights = dict(_range(part) for part in (accept or "").split(",") if part.strip())
    return weights.get(encoding, weights.get("*", 0.0)) > 0


def _range(part: str) -> tuple[str, float]:
    """Return a media range or an encoding and its weight, which is 0 if it cannot be read."""
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
