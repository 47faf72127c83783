"""Memory for results and uploads."""

from __future__ import annotations

import hashlib
import time

from tacit.web.store import ByteStore


def test_memory_of_results_is_bounded() -> None:
    store = ByteStore(1000, 0.2)
    first = store.put(b"a" * 400, "x/y")
    store.put(b"b" * 400, "x/y")
    assert store.put(b"b" * 400, "x/y").digest == hashlib.sha256(b"b" * 400).hexdigest()
    assert store.bytes == 800
    assert store.get(first.digest) is not None  # and is the newest now
    store.put(b"c" * 400, "x/y")
    assert store.get(hashlib.sha256(b"b" * 400).hexdigest()) is None
    assert store.get(first.digest) is not None
    assert store.put(b"d" * 1001, "x/y").data
    assert store.bytes == 800
    time.sleep(0.25)
    assert store.get(first.digest) is None
    assert store.bytes == 0
