"""The settings."""

from __future__ import annotations

import pytest

from tacit.errors import (
    InvalidInput,
)
from tacit.web.settings import ServiceSettings


def test_settings_that_cannot_be() -> None:
    for options, message in (
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"queue": -1}, "queue must be at least 0, got -1"),
        ({"time_limit": float("nan")}, "time_limit must be a positive number of seconds, got nan"),
        ({"effort_limit": 10}, "effort_limit must be a whole number from 0 to 9, got 10"),
        ({"token": ""}, "token must have at least one"),
        ({"token": "a\nb"}, "token must have at least one"),
    ):
        with pytest.raises(InvalidInput, match=message):
            ServiceSettings(**options)
