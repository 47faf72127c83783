"""Fixtures of the captions' tests."""

from __future__ import annotations

from support.tiny_blip import tiny_blip

__all__ = ["tiny_blip"]
