"""The page about linear attention shows what was measured."""

from __future__ import annotations

import importlib
import json
import math
import re
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def script() -> ModuleType:
    return importlib.import_module("benchmarks.attention")


@pytest.fixture
def result(script: ModuleType) -> Any:
    return json.loads(script.RESULT.read_text())


def test_the_page_and_its_plots_are_of_the_results(script: ModuleType, result: Any) -> None:
    page = script.PAGE.read_text()
    emptied, blocks = re.subn(r"(<!-- \w+: made by [^\n]*-->\n).*?(<!-- end -->)", r"\1\2", page, flags=re.DOTALL)
    assert script.filled(emptied, result) == page, "run python -m benchmarks.attention --write"
    assert blocks == len(script.BLOCKS)
    for mode in script.MODES:
        assert script.digest(result, mode) in script.picture(mode).read_text(), (
            "run python -m benchmarks.attention --write"
        )


def test_the_results_show_what_linear_attention_is_for(script: ModuleType, result: Any) -> None:
    """Linear growth where words and pixels grow together, and less time and memory with many words."""
    for mode in script.MODES:
        for measure in ("operations", "seconds", "memory"):
            together = script.curve(result, "both", "linear", mode, measure)
            assert script.exponent(together, result["fitted"]) <= 1.1, (mode, measure)
        for measure in ("seconds", "memory"):
            linear, *others = (
                dict(script.curve(result, "words", m, mode, measure)) for m in ("linear", "full", "fused")
            )
            for other in others:
                words = max(linear.keys() & other.keys())
                assert words > 8 * result["slots"]
                assert linear[words] < other[words], (mode, measure, words)


def test_one_measurement(script: ModuleType) -> None:
    assert script.measure(64, 70, "linear", "training")["seconds"] > 0
    assert script.count(64, 70, "full") == script.count(64, 70, "fused") > 0


@pytest.mark.parametrize(("ours", "expected"), [([1, 1, 1], 0), ([9, 9, 9], math.inf), ([8, 2, 1], 20)])
def test_where_curves_cross(script: ModuleType, ours: list[float], expected: float) -> None:
    sizes, theirs = (10, 40, 160), (4, 4, 4)
    found = script.crossing(list(zip(sizes, ours, strict=True)), list(zip(sizes, theirs, strict=True)))
    assert found == pytest.approx(expected)


def test_exponents(script: ModuleType) -> None:
    points = [(1, 100), (2, 1.5 * 2**1.5), (4, 1.5 * 4**1.5), (8, 1.5 * 8**1.5)]
    assert script.exponent(points, 3) == pytest.approx(1.5)
    assert script.exponent(points[:1], 3) is None
