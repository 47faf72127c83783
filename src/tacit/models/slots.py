"""The slots of attention that a configuration asks for; this module needs no torch."""

from __future__ import annotations


def slots_of(attention: str, linear_length: int) -> int:
    """Return the number of slots that a configuration asks for; 0 stands for full attention.

    Args:
        attention: full or linear.
        linear_length: The number of slots of linear attention.

    Raises:
        ValueError: The configuration is none of these.
    """
    if attention not in ("full", "linear"):
        raise ValueError(f"attention must be full or linear, got {attention!r}")
    if not isinstance(linear_length, int) or linear_length < 2:
        raise ValueError(f"linear_length must be a whole number of at least 2, got {linear_length!r}")
    return linear_length if attention == "linear" else 0
