"""Qualities as a model's graphs take them."""

from __future__ import annotations

import numpy as np

from tacit.entropy.units import HYPER_STEP

Quality = float | np.ndarray | None
"""One quality for all, [B], or a map [B, h, w] with a value for each position of y; None means nothing to a model of
one fixed rate."""


def planes(quality: Quality, batch: int) -> np.ndarray:
    """Return a quality as the transforms take it: [B, 1, 1] or [B, h, w], float32."""
    values = np.asarray(quality, dtype=np.float32)
    return values if values.ndim == 3 else np.broadcast_to(values.reshape(-1, 1, 1), (batch, 1, 1)).copy()


def hundredths_of(quality: Quality, batch: int, rows: int, columns: int) -> np.ndarray:
    """Return a quality as the entropy networks take it: whole hundredths of each hyper-latent [B, hz, wz], int32."""
    values = np.asarray(quality, dtype=np.float64)
    values = values[:, ::HYPER_STEP, ::HYPER_STEP] if values.ndim == 3 else values.reshape(-1, 1, 1)
    hundredths = np.rint(values * 100).astype(np.int32)
    return np.broadcast_to(hundredths, (batch, rows, columns)).copy()
