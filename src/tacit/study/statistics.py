"""Paired differences over images, with two intervals of their mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import Curve, quality_difference, rate_difference
from tacit.evaluation.confidence import MIN_DIFFERENCES, confidence_interval

RESAMPLES = 10_000


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means over the same images."""

    value: float | None
    """The ratio; None without images, or if the lower mean is 0."""
    bootstrap: tuple[float, float] | None
    """Its 95 % interval by 10,000 resamples of the images; None for fewer than 5 images."""


CurvePairs = Mapping[str, Sequence[tuple[Curve, Curve]]]
"""By image, pairs of curves (anchor, test) to compare."""


@dataclass(frozen=True, kw_only=True)
class PairedDifferences:
    """Differences of one quantity, one for each image (or mosaic)."""

    values: Mapping[str, float]
    """The difference by image."""
    left_out: Mapping[str, str]
    """The images that have no difference, and why."""
    mean: float | None
    """The mean of the differences; None if there are none."""
    t: tuple[float, float] | None
    """The 95 % interval of the mean by Student's t; None for fewer than 5 images."""
    bootstrap: tuple[float, float] | None
    """The 95 % interval of the mean by 10,000 resamples of the images; None for fewer than 5 images."""

    @staticmethod
    def from_values(values: Mapping[str, float], left_out: Mapping[str, str]) -> PairedDifferences:
        """Compute the mean of the differences and its intervals."""
        differences = list(values.values())
        mean = fmean(differences) if differences else None
        t = bootstrap = None
        if len(differences) >= MIN_DIFFERENCES:
            t = confidence_interval(differences)
            rng = np.random.default_rng(0)
            means = rng.choice(differences, (RESAMPLES, len(differences))).mean(axis=1)
            low, high = np.quantile(means, (0.025, 0.975))
            bootstrap = float(low), float(high)
        return PairedDifferences(values=values, left_out=left_out, mean=mean, t=t, bootstrap=bootstrap)

    @property
    def excludes_zero(self) -> bool:
        """Whether both intervals exclude zero."""
        intervals = (self.t, self.bootstrap)
        return all(interval is not None and interval[0] * interval[1] > 0 for interval in intervals)


def rate_differences(pairs: CurvePairs) -> PairedDifferences:
    """Return Bjøntegaard's rate differences of the test curves from the anchors, in per cent.

    An image with several pairs counts once, with the mean of their differences.
    """
    return _differences(pairs, lambda anchor, test: rate_difference(anchor, test).value)


def quality_differences(pairs: CurvePairs) -> PairedDifferences:
    """Return Bjøntegaard's quality differences of the test curves from the anchors, in the metric's unit.

    An image with several pairs counts once, with the mean of their differences.
    """
    return _differences(pairs, lambda anchor, test: quality_difference(anchor, test).value)


def _differences(pairs: CurvePairs, difference: Callable[[Curve, Curve], float]) -> PairedDifferences:
    values, left_out = {}, {}
    for image, curves in pairs.items():
        try:
            differences = [0.0 if anchor == test else difference(anchor, test) for anchor, test in curves]
        except InvalidInput as error:
            left_out[image] = str(error)
        else:
            values[image] = fmean(differences)
    return PairedDifferences.from_values(values, left_out)


def ratio_of_means(upper: Mapping[str, float], lower: Mapping[str, float]) -> Ratio:
    """Return the mean of `upper` divided by that of `lower`, over the images that both have."""
    images = [image for image in upper if image in lower]
    pairs = np.array([(upper[image], lower[image]) for image in images]).reshape(-1, 2)
    if not len(pairs) or not pairs[:, 1].any():
        return Ratio(None, None)
    value = float(pairs[:, 0].mean() / pairs[:, 1].mean())
    if len(pairs) < MIN_DIFFERENCES:
        return Ratio(value, None)
    drawn = np.random.default_rng(0).integers(len(pairs), size=(RESAMPLES, len(pairs)))
    sums = pairs[drawn].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], (0.025, 0.975))
    return Ratio(value, (float(low), float(high)))
