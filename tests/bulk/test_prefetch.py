"""Making items ahead of the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tacit.bulk.prefetch import prefetch


def test_ahead_is_bounded_in_order_and_tells_errors() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for n in range(10):
            made.append(n)
            yield n
        raise ValueError("the end")

    taken = []

    def take() -> None:
        with prefetch(items()) as found:
            for n in found:
                time.sleep(0.002)
                taken.append(n)
                assert made[-1] <= n + 3  # one taken, one waiting, one held, one in the making

    with pytest.raises(ValueError, match="the end"):
        take()
    assert taken == list(range(10))
    before = threading.active_count()
    with prefetch(iter(range(10**9))) as found:
        assert next(found) == 0
    assert threading.active_count() == before
