"""Fixtures of the finder's tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def found_once() -> None:
    """Do nothing: here the finder itself is tested, and looks each time."""
