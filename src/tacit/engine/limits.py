"""How much a processor works on at a time."""

from __future__ import annotations

BATCH_PIXELS = 2 << 20
"""Regions of one shape are coded together up to this many pixels."""

LARGE = 8 * BATCH_PIXELS
"""From so many pixels on an image is large: what it takes matters more than the time of making it again."""

REGIONS_AT_A_TIME = 4
"""Regions of an image; each takes some 100 MB."""
