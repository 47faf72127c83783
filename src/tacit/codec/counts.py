"""Arguments that count something, such as threads or pixels along a side."""

from __future__ import annotations

import operator

from tacit.errors import InvalidInput


def check_count(name: str, value: object) -> int:
    """Return a count.

    Args:
        name: Its name, for messages.
        value: What was given.

    Raises:
        InvalidInput: It is no whole number, or less than 1.
    """
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise InvalidInput(f"{name} must be a whole number, got {value!r}") from error
    if count < 1:
        raise InvalidInput(f"{name} must be at least 1, got {count}")
    return count
