"""Confidence intervals of the mean of paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

from tacit.errors import InvalidInput

MIN_DIFFERENCES = 5
CONFIDENCE = 0.95


def confidence_interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of differences, by Student's t.

    Args:
        differences: Five or more differences.

    Raises:
        InvalidInput: There are too few differences.
    """
    if len(differences) < MIN_DIFFERENCES:
        raise InvalidInput(f"an interval needs {MIN_DIFFERENCES} differences or more, got {len(differences)}")
    mean = fmean(differences)
    half = _student_quantile(len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
    return mean - half, mean + half


def _student_quantile(freedom: int) -> float:
    """Return the quantile of Student's t, within 0.3 % from 4 degrees of freedom on.

    Source: Abramowitz and Stegun, 26.7.5 (Cornish and Fisher's expansion from the normal quantile).
    """
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))
