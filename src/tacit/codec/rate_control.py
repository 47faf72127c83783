"""Rate control: targets, and the one search for the largest quality whose file has at most N bytes.

The search is stepwise, so that whoever encodes elsewhere (in another process, or on behalf of a request) can drive it:

    search = SizeSearch(scale)
    for quality in search.steps(limit):
        search.add(quality, len(encode(quality)))
    search.best(limit)

Neither the search nor the options need torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tacit.errors import TargetNotReached

if TYPE_CHECKING:
    from tacit.codec.options import Target
    from tacit.image import Raster

SIZE_TOLERANCE = 0.005  # the part of a size target that may be left over
PSNR_TOLERANCE = 0.02  # dB above a PSNR target that end the search
ATTEMPTS = 18
REFINED_ATTEMPTS = 4
REFINED_SIZE = math.log(0.96)  # about what refinement makes of a file's size at the same quality
REFINED_PSNR = 0.1  # dB, about what it adds

# The usual rate of a photograph, which tells a search where to begin: the logarithm of its bits per pixel at quality 0,
# and what a step of quality adds to it.
USUAL_RATE, USUAL_RISE = math.log(0.06), 0.03


@dataclass(frozen=True)
class Scale:
    """The qualities that a codec has; by default tacit's."""

    lowest: float = 0.0
    highest: float = 100.0
    step: float = 0.01

    def nearest(self, quality: float) -> float:
        """Return the nearest quality of the scale."""
        inside = min(max(quality, self.lowest), self.highest)
        return round(round(round(inside, 2) / self.step) * self.step, 2)


class QualitySearch:
    """Searches the largest quality whose value is within a limit, for a value that rises with quality.

    `next` names a quality to try, `add` tells its value, and `best` is the answer so far. Values that are known from
    elsewhere, such as from a search with another limit, are added in the same way.

    It is regula falsi, with bisection where that stalls.

    Args:
        scale: The qualities that can be tried.
        both_ends: Whether the search begins with the lowest and the highest quality, which saves attempts where the
            highest often fits. Otherwise it begins with the lowest one, and no file that it tries is larger than about
            twice the limit.
        prior: The value to expect at quality 0 and its rise for each step of quality; then the search begins where
            this leads, and goes on from there.
    """

    def __init__(
        self, scale: Scale | None = None, *, both_ends: bool = False, prior: tuple[float, float] | None = None
    ) -> None:
        self.scale = scale or Scale()
        self._both_ends, self._prior = both_ends, prior
        self._values: dict[float, float] = {}

    def add(self, quality: float, value: float) -> None:
        """Record the value measured at a quality."""
        self._values[quality] = value

    def best(self, limit: float) -> float | None:
        """Return the largest quality that is known to be within the limit, None if none is."""
        return max((quality for quality, value in self._values.items() if value <= limit), default=None)

    def next(self, limit: float, tolerance: float = 0.0, attempt: int = 0) -> float | None:
        """Return the quality to try next, or None where the search is over.

        It is over where the best value is within the tolerance, or where no quality is left between the best one and
        the next that exceeds the limit.

        Args:
            limit: The largest value.
            tolerance: How far below the limit a value may be, in the unit of values. With 0 the search is bisection.
            attempt: How many qualities this search has tried; every third is in the middle, where interpolation stalls.
        """
        scale, low = self.scale, self.best(limit)
        high = min((quality for quality in self._values if low is None or quality > low), default=None)
        if low is None and self._prior is None:
            return scale.lowest if high is None or high > scale.lowest else None
        if low is not None and high is None and self._both_ends and low < scale.highest:
            return scale.highest
        if low is not None and tolerance > 0 and self._values[low] >= limit - tolerance:
            return None
        least = scale.lowest if low is None else low + scale.step
        most = scale.highest if high is None else high - scale.step
        if least > most + scale.step / 2:
            return None
        halve = attempt > 1 and attempt % 3 == 1
        aim = limit - tolerance / 2
        if low is not None and self._prior is None and (high is None or tolerance == 0):
            return self._middle(low, scale.highest + scale.step if high is None else high)
        if low is not None and high is not None:
            return self._between(low, high, None if halve else aim)
        if self._prior is None or halve:
            return scale.nearest((least + most) / 2)
        return min(max(self._expected(aim, self._prior), scale.nearest(least)), scale.nearest(most))

    def _middle(self, low: float, high: float) -> float:
        """Return the quality in the middle of two, rounded down to one of the scale."""
        step = self.scale.step
        return self.scale.nearest(low + math.floor(round((high - low) / step) / 2) * step)

    def _between(self, low: float, high: float, aim: float | None) -> float:
        """Return a quality between two that are known, where the value is about `aim`; in the middle for None."""
        at_low, at_high = self._values[low], self._values[high]
        part = 0.5 if aim is None or at_high <= at_low else (aim - at_low) / (at_high - at_low)
        quality = self.scale.nearest(low + min(max(part, 0.02), 0.98) * (high - low))
        return quality if low < quality < high else self.scale.nearest((low + high) / 2)

    def _expected(self, value: float, prior: tuple[float, float]) -> float:
        """Return the quality that is likely to have a value, from the two nearest known ones or fewer."""
        start, usual = prior
        near = sorted(self._values, key=lambda quality: abs(self._values[quality] - value))[:2]
        if not near:
            return self.scale.nearest((value - start) / usual)
        rise = usual
        if len(near) == 2:
            own = (self._values[near[1]] - self._values[near[0]]) / (near[1] - near[0])
            rise = own if own > 0 else usual
        return self.scale.nearest(near[0] + (value - self._values[near[0]]) / rise)


class SizeSearch:
    """Searches the largest quality whose file has at most some number of bytes, for sizes that rise with quality.

    Its best quality never exceeds the limit, whatever the sizes are.

    Args:
        scale: The codec's qualities.
        tolerance: The part of the limit that may be left over; 0: the largest quality exactly, by bisection.
        both_ends: As for `QualitySearch`.
        pixels: The number of pixels of a photograph; then the search begins where its usual rate leads.
    """

    def __init__(
        self,
        scale: Scale | None = None,
        *,
        tolerance: float = 0.0,
        both_ends: bool = False,
        pixels: int | None = None,
    ) -> None:
        prior = None if pixels is None else (USUAL_RATE + math.log(pixels / 8), USUAL_RISE)
        self._search = QualitySearch(scale, both_ends=both_ends, prior=prior)
        self._tolerance = -math.log(1 - tolerance)

    def add(self, quality: float, size: int) -> None:
        """Tell the size of a quality's file in bytes."""
        self._search.add(quality, math.log(size))

    def best(self, limit: float) -> float | None:
        """Return the largest quality whose file is known to have at most `limit` bytes, None if there is none."""
        return self._search.best(math.log(max(limit, 1)))

    def next(self, limit: float, attempt: int = 0) -> float | None:
        """Return the quality to try next, or None where the search is over; see `QualitySearch.next`."""
        return self._search.next(math.log(max(limit, 1)), self._tolerance, attempt)

    def steps(self, limit: float) -> Iterator[float]:
        """Yield the qualities to try, one after the other; the caller adds the size of each."""
        for attempt in range(ATTEMPTS):
            quality = self.next(limit, attempt)
            if quality is None:
                return
            yield quality


@dataclass(frozen=True)
class Attempt:
    """One encoding at one quality; with what the decoder will make of it, where that was wanted."""

    quality: float | None
    data: bytes
    decoded: Raster | None = None
    psnr: float | None = None  # dB


AttemptAt = Callable[[float | None, bool], Attempt]
"""Encodes at a quality; the second argument says whether the image is decoded, too."""


def reach(
    target: Target, attempt: AttemptAt, pixels: int, reconstruct: bool, refined: AttemptAt | None = None
) -> Attempt:
    """Return the encoding that reaches the target.

    Args:
        target: A quality, a size, a rate or a PSNR.
        attempt: Encodes at a quality.
        pixels: The number of pixels of the image.
        reconstruct: Whether the decoded image is wanted.
        refined: Encodes at a quality as `attempt` does, but better and much slower; what it makes is what is returned.

    Raises:
        TargetNotReached: No quality reaches the target.
    """
    if target.psnr is not None:
        reached = _reach_psnr(target.psnr, attempt, refined)
        return reached if reconstruct else replace(reached, decoded=None)
    limit = size_limit(target, pixels)
    if limit is None:
        return (refined or attempt)(target.quality, reconstruct)
    wanted = f"a file of {limit} byte{'s' if limit != 1 else ''}" if target.size else f"{target.bpp:.4g} bpp"
    return _reach_size(limit, wanted, attempt, pixels, reconstruct, refined)


def size_limit(target: Target, pixels: int) -> int | None:
    """Return the largest size in bytes that a target allows an image of so many pixels; None if it says nothing."""
    if target.size is not None:
        return target.size
    return None if target.bpp is None else math.floor(target.bpp * pixels / 8)


def _reach_size(
    limit: int, wanted: str, attempt: AttemptAt, pixels: int, reconstruct: bool, refined: AttemptAt | None
) -> Attempt:
    """Return the encoding of the highest quality whose file has at most `limit` bytes."""
    files: dict[float, bytes] = {}
    search = SizeSearch(tolerance=SIZE_TOLERANCE, both_ends=True)
    for quality in search.steps(limit):
        files[quality] = attempt(quality, False).data
        search.add(quality, len(files[quality]))
    best = search.best(limit)
    least = len(files[0.0])
    if refined is not None:
        made = _refined_attempts(
            {quality: math.log(len(data)) for quality, data in files.items()},
            math.log(limit),
            -math.log(1 - SIZE_TOLERANCE),
            lambda quality: refined(quality, reconstruct),
            lambda one: math.log(len(one.data)),
            REFINED_SIZE,
        )
        if made:
            fitting = [one for one in made if len(one.data) <= limit]
            if fitting:
                return max(fitting, key=lambda one: one.quality or 0)
            least = min(least, *(len(one.data) for one in made))
    if best is None:
        raise TargetNotReached(
            f"{wanted} cannot be reached: the lowest quality takes {least} bytes ({8 * least / pixels:.4g} bpp)"
        )
    return attempt(best, True) if reconstruct else Attempt(best, files[best])


def _reach_psnr(goal: float, attempt: AttemptAt, refined: AttemptAt | None) -> Attempt:
    """Return the encoding of the lowest quality whose decoded image reaches `goal` dB.

    The search runs on 100 - quality and the negative PSNR: the largest such value is the lowest quality.
    """
    search = QualitySearch(both_ends=True)
    best: Attempt | None = None
    values: dict[float, float] = {}
    for number in range(ATTEMPTS):
        reversed_quality = search.next(-goal, PSNR_TOLERANCE, number)
        if reversed_quality is None:
            break
        made = attempt(100 - reversed_quality, True)
        assert made.psnr is not None
        values[reversed_quality] = -made.psnr
        search.add(reversed_quality, -made.psnr)
        if best is None or made.psnr >= goal:  # each that reaches it is of a lower quality than the one before
            best = made
    assert best is not None
    reached = [best]
    if refined is not None:
        reached += _refined_attempts(
            values,
            -goal,
            PSNR_TOLERANCE,
            lambda reversed_quality: refined(100 - reversed_quality, True),
            lambda one: -(one.psnr or 0.0),
            -REFINED_PSNR,
        )
    enough = [one for one in reached if (one.psnr or 0) >= goal]
    if not enough:
        highest = max(one.psnr or 0 for one in reached)
        raise TargetNotReached(f"a PSNR of {goal:g} dB cannot be reached: the highest quality gives {highest:.2f} dB")
    return min(enough, key=lambda one: len(one.data))


def _refined_attempts(
    known: dict[float, float],
    limit: float,
    tolerance: float,
    attempt: Callable[[float], Attempt],
    value: Callable[[Attempt], float],
    difference: float,
) -> list[Attempt]:
    """Return a few refined attempts, of which the last ones are near the limit.

    A refined attempt is slow, but its value differs from that of a plain one by about as much at every quality near it.

    Args:
        known: Values of plain attempts, which rise with the quality.
        limit: The largest value.
        tolerance: How far below the limit a value may be.
        attempt: Makes a refined attempt at a quality.
        value: Returns the value of an attempt.
        difference: What refinement is expected to add to values; the first attempt shows what it does.
    """
    import numpy as np  # a target without refinement needs none

    scale, made = Scale(), {}
    qualities = sorted(known)
    values = np.maximum.accumulate([known[quality] for quality in qualities])
    for _ in range(REFINED_ATTEMPTS):
        quality = scale.nearest(float(np.interp(limit - tolerance / 2 - difference, values, qualities)))
        if quality in made:
            break
        made[quality] = attempt(quality)
        found = value(made[quality])
        if limit - tolerance <= found <= limit or (found <= limit and quality == scale.highest):
            break
        difference = found - float(np.interp(quality, qualities, values))
    return list(made.values())
