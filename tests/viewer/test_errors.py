"""The decoder for browsers is tested with the errors of the package as they are."""

from __future__ import annotations

import json

from support.malformed_files import FOR_JAVASCRIPT, errors


def test_the_errors_that_javascript_is_tested_with_are_current() -> None:
    found = errors()
    assert len(found) > 70
    assert json.loads(FOR_JAVASCRIPT.read_text()) == found, "make it again: python -m support.malformed_files"
