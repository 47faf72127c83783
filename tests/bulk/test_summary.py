"""Sums over entries."""

from __future__ import annotations

from typing import Any

from tacit.bulk.manifest import ManifestEntry
from tacit.bulk.summary import RunningTotal


def test_sums() -> None:
    total = RunningTotal()
    coded: Any = {"bytes_in": 30, "bytes_out": 10, "measured": 1}
    total.add(
        ManifestEntry(
            name="a", inputs={}, images=2, failed=1, **coded | {"measured": 3}, psnr=30.0, seconds={"code": 1.0}
        )
    )
    total.add(ManifestEntry(name="b", inputs={}, images=1, **coded, psnr=40.0, seconds={"code": 2.0, "read": 1}))
    total.add(ManifestEntry(name="c", inputs={}, others=1))
    found = total.summary()
    assert (found.shards, found.images, found.ratio, found.psnr, found.measured) == (3, 3, 3.0, 32.5, 4)
    assert (found.failure_rate, found.spent) == (0.25, {"code": 3.0, "read": 1})
    assert (RunningTotal().summary().ratio, RunningTotal().summary().psnr, RunningTotal().summary().failure_rate) == (
        None,
        None,
        0.0,
    )
