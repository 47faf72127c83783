"""Piecewise cubic interpolation with numpy alone, so that comparing curves needs no SciPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tacit.errors import InvalidInput


class Pchip:
    """Piecewise cubic interpolation that keeps monotone data monotone.

    Source: Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5 (1984), with the three-point formula at the ends: the
    interpolant that SciPy and MATLAB call pchip.

    Args:
        x: Three or more positions, rising.
        y: The value at each position.

    Raises:
        InvalidInput: There are fewer than three points, or they are not in rising order.
    """

    def __init__(self, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> None:
        self.x, self.y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if len(self.x) < 3 or len(self.x) != len(self.y) or (np.diff(self.x) <= 0).any():
            raise InvalidInput("interpolation needs at least three points in rising order")
        h, slope = np.diff(self.x), np.diff(self.y) / np.diff(self.x)
        inner = np.zeros(len(h) - 1)
        same = slope[:-1] * slope[1:] > 0
        w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
        inner[same] = (w1 + w2)[same] / (w1[same] / slope[:-1][same] + w2[same] / slope[1:][same])
        first = _end(h[0], h[1], slope[0], slope[1])
        last = _end(h[-1], h[-2], slope[-1], slope[-2])
        self.d = np.concatenate([[first], inner, [last]])

    def __call__(self, at: float | np.ndarray) -> np.ndarray:
        """Return the interpolated values at positions, NaN outside the data."""
        at = np.asarray(at, dtype=float)
        i = np.clip(np.searchsorted(self.x, at, side="right") - 1, 0, len(self.x) - 2)
        h = self.x[i + 1] - self.x[i]
        t = (at - self.x[i]) / h
        value = (
            (1 + 2 * t) * (1 - t) ** 2 * self.y[i]
            + t * (1 - t) ** 2 * h * self.d[i]
            + t**2 * (3 - 2 * t) * self.y[i + 1]
            + t**2 * (t - 1) * h * self.d[i + 1]
        )
        return np.where((at >= self.x[0]) & (at <= self.x[-1]), value, np.nan)

    def mean(self, low: float, high: float) -> float:
        """Return the exact average from low to high, which lie inside the data, by Simpson's rule on each cubic."""
        inside = self.x[(self.x > low) & (self.x < high)]
        edges = np.concatenate([[low], inside, [high]])
        a, b = edges[:-1], edges[1:]
        areas = (b - a) / 6 * (self(a) + 4 * self((a + b) / 2) + self(b))
        return float(areas.sum() / (high - low))


def _end(h0: float, h1: float, slope0: float, slope1: float) -> float:
    d = ((2 * h0 + h1) * slope0 - h0 * slope1) / (h0 + h1)
    if d * slope0 <= 0:
        return 0.0
    if slope0 * slope1 <= 0 and abs(d) > 3 * abs(slope0):
        return 3 * slope0
    return float(d)
