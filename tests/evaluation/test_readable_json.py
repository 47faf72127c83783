"""JSON text that people can read."""

from __future__ import annotations

import json

from tacit.evaluation.readable_json import dumps


def test_innermost_values_have_a_line_each() -> None:
    value = {"rows": [{"name": "a" * 60, "cost": {"seconds": 1.5}}, {"name": "b" * 60, "cost": {"seconds": 2.5}}]}
    text = dumps(value)
    assert json.loads(text) == value
    assert text.splitlines()[2].startswith('  {"name": "aaa')
    assert len(text.splitlines()) == 6
    assert dumps((1, "ø")) == '[1, "ø"]\n'
