"""The choice of a media type, and of an encoding."""

from __future__ import annotations

import pytest

from tacit.web.negotiation import accepts_encoding, preferred


@pytest.mark.parametrize(
    ("accept", "offer"),
    [
        (None, "image/png"),
        ("", "image/png"),
        ("*/*", "image/png"),
        ("image/avif,image/webp,*/*;q=0.8", "image/webp"),
        ("image/avif;q=0.5, image/webp ; Q=0.7", "image/webp"),
        ("image/*;q=0.1, IMAGE/JPEG", "image/jpeg"),
        ("image/*, image/png;q=0", "image/webp"),
        ("text/html, application/json", None),
        ("image/png;q=0", None),
        ("image/png;q=x, image/webp;q=2, nonsense, ;;", None),
    ],
)
def test_negotiation(accept: str | None, offer: str | None) -> None:
    assert preferred(accept, ("image/png", "image/webp", "image/avif", "image/jpeg")) == offer


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("br;q=1, GZIP ; q=0.2", True),
        ("*", True),
        ("*, gzip;q=0", False),
        ("identity, br", False),
        ("gzip;q=x", False),
    ],
)
def test_gzip_is_taken_where_the_client_says_so(accept: str | None, accepted: bool) -> None:
    assert accepts_encoding(accept, "gzip") is accepted
