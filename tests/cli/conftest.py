"""Fixtures of the command line's tests."""

from __future__ import annotations

from support.bulk_runner import engines, runner, without_ray

__all__ = ["engines", "runner", "without_ray"]
