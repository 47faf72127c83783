"""The limit on the rate of requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.captions.rate_limit import RateLimit

pytest.importorskip("httpx", reason="the extra tacit[caption] is not installed")


@given(st.lists(st.one_of(st.none(), st.floats(0, 50)), max_size=12))
def test_no_request_comes_before_its_time(events: list[float | None]) -> None:
    """None: a request; a number: the server asks for a pause of so many seconds."""
    now = 0.0

    class Stepping(RateLimit):
        def sleep(self, seconds: float) -> None:
            nonlocal now
            now += seconds

    limit = Stepping(6, clock=lambda: now)  # ten seconds apart
    earliest = 0.0
    for event in events:
        if event is None:
            limit.wait()
            assert now == pytest.approx(earliest)
            earliest = now + 10
        else:
            limit.pause(event)
            earliest = max(earliest, now + event)
