"""The units in which integers are counted, in files and in frozen networks."""

from __future__ import annotations

LATENT_STEP = 16
"""Pixels of a latent along a side, in every architecture of format version 1."""

HYPER_STEP = 4
"""Latents of a hyper-latent along a side."""

Y_UNIT = 16
"""Of y, in a quantisation step: predicted means lie on this grid, symbols are whole steps."""

Z_UNIT = 256
"""Of the medians of z, in a quantisation step."""

QUALITY_REACH = 5000
"""Hundredths of quality on either side of the middle: the quality beside z is counted from there."""

MEAN_LIMIT = 2**14
"""Frozen means are clamped to this many sixteenths of a quantisation step."""
