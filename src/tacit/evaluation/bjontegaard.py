"""Bjøntegaard's differences, which compare two rate-distortion curves in one number.

A curve is a pair of sequences of one length: its rates (bits, or bits per pixel) and its qualities (values of any
metric, of which higher or lower may be better), in any order. Both differences are those of `test` from `anchor`,
averaged over the range that both curves reach. That range, and its share of the narrower curve's range, are part of the
result. Too small a share is refused: a number from a sliver of two curves tells nothing about the rest.

Curves are interpolated by pchip, on the natural logarithm of the rate.
Source: VCEG-M33 (2001), with pchip instead of one cubic through all points, as the codec groups have since agreed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tacit.errors import InvalidInput
from tacit.evaluation.pchip import Pchip

Curve = tuple[Sequence[float], Sequence[float]]
"""Rates and qualities."""

MINIMUM_OVERLAP = 0.5
"""The smallest share of the narrower curve's range that both curves must reach."""


@dataclass(frozen=True)
class Difference:
    """The average difference of two curves."""

    value: float
    """The average difference."""
    low: float
    """The beginning of the range that it is averaged over."""
    high: float
    """The end of that range."""
    overlap: float
    """That range as a share of the narrower curve's own, 0 to 1."""


def rate_difference(anchor: Curve, test: Curve, minimum_overlap: float = MINIMUM_OVERLAP) -> Difference:
    """Return by how many per cent `test` needs more bits than `anchor` at equal quality; negative is better.

    Args:
        anchor: The curve that is compared with.
        test: The curve that is compared.
        minimum_overlap: The smallest share of the narrower curve's range that both must reach.

    Returns:
        The difference in per cent; its `low` and `high` are qualities.

    Raises:
        InvalidInput: A curve has fewer than three points, values that are not finite, or a quality that turns back as
            the rate rises; or the overlap is below `minimum_overlap`.
    """
    curves = [_checked(*curve, of) for curve, of in ((anchor, "anchor"), (test, "test"))]
    # By quality, which falls with the rate where lower is better.
    logs = [(quality[:: _direction(quality, rate)], rate[:: _direction(quality, rate)]) for rate, quality in curves]
    mean, low, high, overlap = _mean_difference(logs, minimum_overlap, "qualities")
    return Difference(100 * math.expm1(mean), low, high, overlap)


def quality_difference(anchor: Curve, test: Curve, minimum_overlap: float = MINIMUM_OVERLAP) -> Difference:
    """Return by how much the quality of `test` is higher than that of `anchor` at equal rate, in the metric's unit.

    Args:
        anchor: The curve that is compared with.
        test: The curve that is compared.
        minimum_overlap: The smallest share of the narrower curve's range that both must reach.

    Returns:
        The difference; its `low` and `high` are rates, and the overlap is that of their logarithms.

    Raises:
        InvalidInput: A curve has fewer than three points or values that are not finite; or the overlap is below
            `minimum_overlap`.
    """
    curves = [_checked(*curve, of) for curve, of in ((anchor, "anchor"), (test, "test"))]
    mean, low, high, overlap = _mean_difference(curves, minimum_overlap, "rates")
    return Difference(mean, math.exp(low), math.exp(high), overlap)


def quality_at(curve: Curve, rate: float) -> float:
    """Return a curve's quality at a rate, NaN outside the curve.

    Raises:
        InvalidInput: The curve has fewer than three points, or values that are not finite.
    """
    return float(Pchip(*_checked(*curve, "curve"))(math.log(rate)))


def _checked(rates: Sequence[float], qualities: Sequence[float], of: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithms of the rates, rising, and the qualities that belong to them."""
    rate, quality = np.asarray(rates, dtype=float), np.asarray(qualities, dtype=float)
    if rate.ndim != 1 or rate.shape != quality.shape:
        raise InvalidInput(f"{of}: must have as many rates as qualities, got {rate.size} and {quality.size}")
    if len(rate) < 3:
        raise InvalidInput(f"{of}: a curve must have three points or more, got {len(rate)}")
    if not (np.isfinite(rate).all() and np.isfinite(quality).all() and (rate > 0).all()):
        raise InvalidInput(f"{of}: rates must be positive, and rates and qualities finite")
    order = np.argsort(rate)
    rate, quality = np.log(rate[order]), quality[order]
    if not (np.diff(rate) > 0).all():
        raise InvalidInput(f"{of}: the points must have different rates")
    return rate, quality


def _direction(quality: np.ndarray, rate: np.ndarray) -> int:
    """Return 1 for a quality that rises with the rate, and -1 for one that falls."""
    steps = np.diff(quality)
    if (steps > 0).all():
        return 1
    if (steps < 0).all():
        return -1
    # The first step against the direction of the curve as a whole.
    way = 1.0 if quality[-1] >= quality[0] else -1.0
    i = int(np.argmax(steps * way <= 0))
    raise InvalidInput(
        f"quality turns back between the rates {math.exp(rate[i]):.4g} and {math.exp(rate[i + 1]):.4g} "
        f"({quality[i]:.5g}, {quality[i + 1]:.5g}): no rate belongs to it alone"
    )


def _mean_difference(
    curves: Sequence[tuple[np.ndarray, np.ndarray]], minimum: float, what: str
) -> tuple[float, float, float, float]:
    """Return the mean of test - anchor, the range of x that it is over, and its share of the narrower curve.

    Args:
        curves: (x, y) of anchor and test, x rising.
        minimum: The smallest share.
        what: What x is, in words.
    """
    starts, ends = [x[0] for x, _ in curves], [x[-1] for x, _ in curves]
    low, high = float(max(starts)), float(min(ends))
    if not low < high:
        raise InvalidInput(f"the curves have no {what} in common")
    overlap = (high - low) / float(min(end - start for start, end in zip(starts, ends, strict=True)))
    if overlap < minimum:
        raise InvalidInput(
            f"the curves share {100 * overlap:.0f} % of the {what} of the narrower one, less than {100 * minimum:.0f} %"
        )
    anchor, test = (Pchip(x, y).mean(low, high) for x, y in curves)
    return test - anchor, low, high, overlap
