"""Paired differences over images, with two intervals of their mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from tacit.errors import InvalidInput
from tacit.evaluation.bjontegaard import Curve, quality_difference, rate_difference
from tacit.evaluation.compare import LEAST_IMAGES, confidence_interval

RESAMPLES = 10_000


@dataclass(frozen=True)
class Paired:
    """Differences of one quantity, one for each image (or mosaic), by name.

    mean: of them. t: 95 % interval of the mean by Student's t. bootstrap: the same by 10,000 resamples of the images,
    2.5 to 97.5 %. Both None for fewer than 5 images. left_out: images without a difference, and why.
    """

    values: Mapping[str, float]
    left_out: Mapping[str, str]
    mean: float | None
    t: tuple[float, float] | None
    bootstrap: tuple[float, float] | None

    @staticmethod
    def of(values: Mapping[str, float], left_out: Mapping[str, str]) -> Paired:
        """Of differences by image."""
        found = list(values.values())
        if len(found) < LEAST_IMAGES:
            return Paired(values, left_out, fmean(found) if found else None, None, None)
        rng = np.random.default_rng(0)
        means = rng.choice(found, (RESAMPLES, len(found))).mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        return Paired(values, left_out, fmean(found), confidence_interval(found), (float(low), float(high)))

    @property
    def sure(self) -> bool:
        """Neither interval holds zero."""
        both = (self.t, self.bootstrap)
        return all(interval is not None and interval[0] * interval[1] > 0 for interval in both)


def rates(pairs: Mapping[str, Sequence[tuple[Curve, Curve]]]) -> Paired:
    """Bjoentegaard's rate differences in per cent, of the second curve from the first, by image; of several pairs of
    an image, their mean."""
    return _differences(pairs, lambda a, b: rate_difference(a, b).value)


def qualities(pairs: Mapping[str, Sequence[tuple[Curve, Curve]]]) -> Paired:
    """The same of qualities at equal bits, in the metric's unit."""
    return _differences(pairs, lambda a, b: quality_difference(a, b).value)


def _differences(
    pairs: Mapping[str, Sequence[tuple[Curve, Curve]]], difference: Callable[[Curve, Curve], float]
) -> Paired:
    values, left_out = {}, {}
    for image, several in pairs.items():
        try:
            found = [0.0 if a == b else difference(a, b) for a, b in several]
        except InvalidInput as error:
            left_out[image] = str(error)
        else:
            values[image] = fmean(found)
    return Paired.of(values, left_out)
