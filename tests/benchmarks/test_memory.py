"""The growth of memory that a measurement finds, and what it writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import memory


def test_growth_is_that_after_the_first_tenth() -> None:
    home = [(number, 300_000_000 + 5_000_000 * min(number, 1000)) for number in range(250, 10_001, 250)]
    assert memory.growth_of(home) == pytest.approx(0, abs=1e-3)
    leaking = [(number, size + 700 * number) for number, size in home]
    assert memory.growth_of(leaking) == pytest.approx(700)


@pytest.mark.slow
def test_results_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_weights: Path) -> None:
    path = tmp_path / "results" / "memory.json"
    monkeypatch.setattr(
        sys, "argv", ["memory", "--count", "24", "--model", str(tiny_weights), "--limit", "1e9", "--output", str(path)]
    )
    assert memory.main() == 0
    result = json.loads(path.read_text())
    assert [point["images"] for point in result["points"]] == list(range(1, 25))
    assert all(point["bytes"] > 1e7 for point in result["points"])
    assert result["command"] == "python -m benchmarks.memory --count 24"
