"""How much a processor works on at a time."""

from __future__ import annotations

BATCH_PIXELS = 2 << 20
"""Regions of one shape are coded together up to this many pixels."""

REGIONS_AT_A_TIME = 4
"""Regions of an image; each takes some 100 MB."""
