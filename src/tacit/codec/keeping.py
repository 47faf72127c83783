"""Keeping what was asked for: the search for the quality map with which the decoded image has it.

Each place has a level: the quality of the cells that it covers most. The levels are searched together, in trials that
code and decode no more than the regions of the places. Then the rest of the image takes the target's quality or, for a
size, what is left, and all places are measured in the image that the file decodes to. Where places are large, one
quality everywhere may keep them in fewer bytes than a quality map, whose cells are predicted from neighbours of another
quality; then the file has that one.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Sequence

import numpy as np

from tacit.codec import rate_control
from tacit.codec.encoding import HIGHEST_PSNR, EncodeResult, ImageEncoding, check_quality_maps
from tacit.codec.fidelity import Fidelity, fidelity
from tacit.codec.keep import Keep, KeepWarning, KeptBox
from tacit.codec.model import Model
from tacit.codec.options import Target
from tacit.codec.places import Box, Place
from tacit.codec.rate_control import Attempt, QualitySearch, Scale
from tacit.container import CELL, cells
from tacit.errors import TargetNotReached
from tacit.image import Raster

TRIALS = 10  # encodings of the places' regions that search the levels
ROUNDS = 5  # of whole encodings, each with what the one before it lacked
TOLERANCE = {"psnr": 0.03, "ssimulacra2": 0.2}  # above what was asked for, in the measure's unit; ends a search
RISE = {"psnr": 0.09, "ssimulacra2": 0.6}  # what a step of quality usually adds
FALL = 12.0  # steps of quality that a cell is lower of which half as much is covered; 8 to 16 took the fewest bytes
LEAST_COVER = 1 / 16  # of the most that a cell is covered; lower ones count as this
BELOW = 15.0  # steps of quality below the highest level in which one quality for all may keep all, at the most


class Keeping:
    """One image on its way to a file that keeps places of it.

    Args:
        encoding: The image.
        places: What is kept; at least one box.
        best_effort: Whether a promise that cannot be kept is a KeepWarning rather than an error.

    Raises:
        InvalidInput: The weights take no quality map.
    """

    def __init__(self, encoding: ImageEncoding, places: Sequence[Place], *, best_effort: bool = False) -> None:
        check_quality_maps(encoding.model)
        self._encoding, self._places, self._best_effort = encoding, tuple(places), best_effort
        size = encoding.raster.width, encoding.raster.height
        self._below = [_steps_below(place.box, *size) for place in places]

    @property
    def raster(self) -> Raster:
        """The image."""
        return self._encoding.raster

    @property
    def model(self) -> Model:
        """The model that encodes it."""
        return self._encoding.model

    def keep_analysis(self) -> None:
        """Analyse the image once for all encodings."""
        self._encoding.keep_analysis()

    def reach(self, target: Target, reconstruct: bool = False) -> EncodeResult:
        """Encode the image so that it reaches a target and keeps its places.

        Args:
            target: With the default quality filled in.
            reconstruct: Whether the image that the file decodes to is returned, too.

        Raises:
            TargetNotReached: The target, or a promise, cannot be reached.
        """
        self.keep_analysis()
        self._encoding.begin()
        if target.quality is not None:
            levels = self._levels(target.quality)
        else:
            # The better the rest, the less a place needs of its own: what is around it bears on it.
            levels = self._levels(0.0)
            _, rough, lowered = self._encoded(target, levels)
            if rough.quality and not lowered:
                levels = self._levels(rough.quality, levels)
        for last in [False] * (ROUNDS - 1) + [True]:
            lifted, made, lowered = self._encoded(target, levels)
            found = [self._measured(place, self._cut(made, place.box)) for place in self._places]
            short = [
                number
                for number, (place, one) in enumerate(zip(self._places, found, strict=True))
                if one.assured < place.keep.least
            ]
            raised = self._raised(levels, found, short)
            if raised == levels or lowered or last:
                break
            levels = raised
        even = None if short or lowered else self._even(target, levels, lifted, made)
        if even is not None:
            lifted, (made, found) = self._encoding, even
        for number in short:
            self._complain(self._places[number], found[number])
        result = self._encoding.result(made if reconstruct else dataclasses.replace(made, decoded=None))
        kept = tuple(
            KeptBox(keep=place.keep, box=place.box, reached=min(one.reached, HIGHEST_PSNR), cues=place.cues)
            for place, one in zip(self._places, found, strict=True)
        )
        return dataclasses.replace(result, kept=kept, kept_bytes=self._cost(lifted, made, target))

    # -- levels ---------------------------------------------------------------------------------------------------

    def _levels(self, quality: float, known: Sequence[float] | None = None) -> list[float]:
        """Return the least level of each place that keeps it where the rest has this quality.

        Args:
            quality: The quality of the rest.
            known: The levels where the rest has another quality, which is where the search begins.

        Raises:
            TargetNotReached: No level keeps a place.
        """
        searches = [
            _LevelSearch(place.keep, quality, self._top(number), quality if known is None else known[number])
            for number, place in enumerate(self._places)
        ]
        for _ in range(TRIALS):
            trial = self._encoding.with_floors(self._floors([one.level for one in searches]))
            decoded = trial.decoded_boxes(quality, [place.box for place in self._places])
            for place, search, pixels in zip(self._places, searches, decoded, strict=True):
                one = self._measured(place, pixels)
                search.add(one.assured)
                if search.failed and not self._best_effort:
                    raise _unkept(place, one)
            if not [one for one in searches if one.step()]:
                break
        return [one.best for one in searches]

    def _top(self, number: int) -> float:
        """Return the level at which every cell of a place has the highest quality."""
        below = self._below[number]
        return 100 + float(below[np.isfinite(below)].max())

    def _floors(self, levels: Sequence[float]) -> np.ndarray:
        floors: np.ndarray = np.max([level - below for level, below in zip(levels, self._below, strict=True)], axis=0)
        return floors

    def _raised(self, levels: Sequence[float], found: Sequence[Fidelity], short: Sequence[int]) -> list[float]:
        """Return the levels, with higher ones for the places that fall short."""
        raised = list(levels)
        for number in short:
            keep = self._places[number].keep
            steps = max(1, math.ceil((keep.least - found[number].assured) / RISE[keep.measure]))
            raised[number] = min(levels[number] + steps, self._top(number))
        return raised

    # -- whole encodings ------------------------------------------------------------------------------------------

    def _encoded(self, target: Target, levels: list[float]) -> tuple[ImageEncoding, Attempt, bool]:
        """Return what reaches a target with these levels or, where that cannot be, with lower ones if that may be.

        Returns:
            The encoding with floors, what it made, and whether the levels had to be lowered.
        """
        lifted = self._encoding.with_floors(self._floors(levels))
        try:
            return lifted, lifted.reached(target, True), False
        except TargetNotReached as error:
            limit = rate_control.size_limit(target, self._encoding.pixels)
            if limit is None:
                raise
            even = self._even_attempt(target, levels, limit)
            if even is not None:
                return self._encoding, even, False
            if not self._best_effort:
                raise TargetNotReached(f"{error}, with what is kept") from error
            lowered = self._lowered(levels, limit)
            if lowered is None:
                raise
            lifted = self._encoding.with_floors(self._floors(lowered))
            return lifted, lifted.reached(target, True), True

    def _lowered(self, levels: Sequence[float], limit: int) -> list[float] | None:
        """Return the highest levels, all lower by as much, with which a file of the lowest quality has a size."""
        most = math.ceil(max(levels))
        search = QualitySearch(Scale(0, most, 1))
        for attempt in range(TRIALS):
            height = search.next(math.log(limit), attempt=attempt)
            if height is None:
                break
            lifted = self._encoding.with_floors(self._floors([level + height - most for level in levels]))
            search.add(height, math.log(len(lifted.attempt(0.0, False).data)))
        best = search.best(math.log(limit))
        return None if best is None else [level + best - most for level in levels]

    def _even(
        self, target: Target, levels: Sequence[float], lifted: ImageEncoding, made: Attempt
    ) -> tuple[Attempt, list[Fidelity]] | None:
        """Return what one quality everywhere makes, with what the places have in it; None where a map is better.

        Args:
            target: The target.
            levels: The places' levels.
            lifted: The encoding with these levels.
            made: What it has made.
        """
        limit = rate_control.size_limit(target, self._encoding.pixels)
        if made.quality is None or max(levels) <= made.quality:
            return None
        if limit is None:
            limit = len(self._unrefined(lifted, made)) - 1
        even = self._even_attempt(target, levels, limit)
        if even is None or even.quality is None or even.quality <= made.quality:
            return None
        if target.psnr is not None and (even.psnr or 0.0) < target.psnr:
            return None
        if rate_control.size_limit(target, self._encoding.pixels) is None and len(even.data) >= len(made.data):
            return None
        found = [self._measured(place, self._cut(even, place.box)) for place in self._places]
        kept = all(one.assured >= place.keep.least for one, place in zip(found, self._places, strict=True))
        return (even, found) if kept else None

    def _even_attempt(self, target: Target, levels: Sequence[float], limit: int) -> Attempt | None:
        """Return the file of one quality that keeps all places, if it has at most so many bytes without refinement.

        For a size, it is the best that fits.
        """
        start = min(100.0, max(target.quality or 0.0, max(levels) - BELOW))
        if len(self._encoding.attempt(start, False).data) > limit:
            return None
        # The search runs on 100 - quality, in tolerances that the place which has the least is short of.
        rise = min(RISE[place.keep.measure] / TOLERANCE[place.keep.measure] for place in self._places)
        search = QualitySearch(Scale(0, 100 - (target.quality or 0.0)), prior=(-rise * (100 - max(levels)), rise))
        for attempt in range(TRIALS):
            reverse = search.next(0.0, 1.0, attempt)
            if reverse is None:
                break
            search.add(reverse, self._shortage(100 - reverse))
        best = search.best(0.0)
        if best is None or len(self._encoding.attempt(100 - best, False).data) > limit:
            return None
        searched = target.size is not None or target.bpp is not None
        return self._encoding.reached(target if searched else Target(quality=100 - best), True)

    def _shortage(self, quality: float) -> float:
        """Return what one quality everywhere lacks to keep all places, in tolerances; at most 0 where it keeps all."""
        decoded = self._encoding.decoded_boxes(quality, [place.box for place in self._places])
        return max(
            (place.keep.least - self._measured(place, pixels).assured) / TOLERANCE[place.keep.measure]
            for place, pixels in zip(self._places, decoded, strict=True)
        )

    def _unrefined(self, encoding: ImageEncoding, made: Attempt) -> bytes:
        """Return the file that an encoding makes without refinement at the quality that it has."""
        return made.data if encoding.refined is None else encoding.attempt(made.quality, False).data

    def _cost(self, lifted: ImageEncoding, made: Attempt, target: Target) -> int:
        """Return the bytes that keeping costs: those of files without refinement, if the file has one."""
        plain = len(self._encoding.attempt(made.quality if target.quality is None else target.quality, False).data)
        return len(self._unrefined(lifted, made)) - plain

    # -- places ---------------------------------------------------------------------------------------------------

    def _measured(self, place: Place, pixels: np.ndarray) -> Fidelity:
        left, top, right, bottom = place.box
        return fidelity(place.keep.measure, pixels, self.raster.pixels[top:bottom, left:right])

    def _cut(self, made: Attempt, box: Box) -> np.ndarray:
        assert made.decoded is not None
        left, top, right, bottom = box
        return made.decoded.pixels[top:bottom, left:right]

    def _complain(self, place: Place, found: Fidelity) -> None:
        """Raise an error, or warn, that a place is not kept."""
        if not self._best_effort:
            raise _unkept(place, found)
        warnings.warn(KeepWarning(str(_unkept(place, found))), stacklevel=5)


class _LevelSearch:
    """Searches the least level of one place that keeps it, for values that rise with the level.

    It is regula falsi with bisection. Levels are whole steps above the quality of the rest, because a quality map has
    whole steps.

    Args:
        keep: What is to be kept.
        quality: The quality of the rest.
        top: The level at which nothing gets better any more.
        start: Where the search begins; a level that is likely to be enough, or the quality of the rest.
    """

    def __init__(self, keep: Keep, quality: float, top: float, start: float) -> None:
        self._quality, self._top = quality, math.ceil(top - quality)
        self._least, self._tolerance, self._rise = keep.least, TOLERANCE[keep.measure], RISE[keep.measure]
        self._values: dict[int, float] = {}  # by lift
        self._lift = min(max(0, math.ceil(round(start - quality, 2))), self._top)

    @property
    def level(self) -> float:
        """The level to try."""
        return self._quality + self._lift

    @property
    def best(self) -> float:
        """The least level that is known to be enough, else the highest."""
        high = self._high
        return self._quality + (self._top if high is None else high)

    @property
    def failed(self) -> bool:
        """Whether the highest level is not enough."""
        return self._values.get(self._top, math.inf) < self._least

    @property
    def _high(self) -> int | None:
        return min((lift for lift, value in self._values.items() if value >= self._least), default=None)

    @property
    def _low(self) -> int | None:
        high = self._high
        return max((lift for lift in self._values if high is None or lift < high), default=None)

    def add(self, value: float) -> None:
        """Tell what the level to try has given."""
        self._values[self._lift] = value

    def step(self) -> bool:
        """Choose the next level to try; return whether there is any."""
        low, high = self._low, self._high
        if high is None:
            assert low is not None
            if low == self._top:
                return False
            self._lift = self._top if len(self._values) > 3 else min(self._top, self._beyond(low))
            return True
        if high - (-1 if low is None else low) <= 1 or self._values[high] <= self._least + self._tolerance:
            self._lift = high
            return False
        if low is None:
            self._lift = max(0, high - max(1, math.ceil((self._values[high] - self._least) / self._rise)))
            return True
        share = (self._least - self._values[low]) / (self._values[high] - self._values[low])
        between = low + math.ceil(share * (high - low)) if len(self._values) % 3 else (low + high) // 2
        self._lift = min(max(between, low + 1), high - 1)
        return True

    def _beyond(self, low: int) -> int:
        """Return a lift that is likely to be just enough, where all so far are too low."""
        others = [lift for lift in self._values if lift < low]
        rise = self._rise
        if others:
            nearest = max(others)
            own = (self._values[low] - self._values[nearest]) / (low - nearest)
            rise = min(max(own, rise / 4), 4 * rise)
        return low + 1 + math.ceil((self._least - self._values[low]) / rise)


def _steps_below(box: Box, width: int, height: int) -> np.ndarray:
    """Return how far the quality of each cell is below a place's level: [ceil(H / 64), ceil(W / 64)].

    Where less of a cell is in the box, fewer of its bits serve the box. Infinity where none of it is.
    """
    left, top, right, bottom = box
    down, across = cells(width, height)

    def covered(count: int, start: int, stop: int) -> np.ndarray:
        edges = CELL * np.arange(count)
        return np.minimum(edges + CELL, stop) - np.maximum(edges, start)

    areas = np.outer(covered(down, top, bottom).clip(0), covered(across, left, right).clip(0))
    shares = areas / areas.max()
    steps: np.ndarray = np.where(shares > 0, -FALL * np.log2(shares.clip(LEAST_COVER)), np.inf)
    return steps


def _unkept(place: Place, found: Fidelity) -> TargetNotReached:
    keep = place.keep
    unit = " dB" if keep.measure == "psnr" else " by SSIMULACRA 2"
    return TargetNotReached(
        f"{keep.what} cannot be kept at {keep.least:g}{unit}: it reaches no more than {found.assured:.2f}"
    )
