"""Numbers as texts."""

from __future__ import annotations

from tacit.evaluation.codecs.protocol import quality_text
from tacit.evaluation.report import formatting


def test_numbers_are_said_with_the_digits_that_matter() -> None:
    assert [formatting.percent(v) for v in (-0.04, 0.04, -12.34)] == ["+0.0 %", "+0.0 %", "-12.3 %"]
    assert [formatting.signed(v) for v in (-0.00001, -0.0321, 1.234)] == ["+0.0000", "-0.0321", "+1.23"]
    assert [formatting.number(v) for v in (0.98765, 31.236, -20.0)] == ["0.9877", "31.24", "-20.00"]
    assert [quality_text(q) for q in (28, 28.5, 30.0, "low")] == ["28", "28.5", "30", "low"]
