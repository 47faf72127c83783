"""A size in bytes as a quality: the sizes of one picture's files that are known tell where to look for the next."""

from __future__ import annotations

import math

TOLERANCE = 0.005  # of the size that may be left over, as when `tacit.encode` is asked for one
FINEST = 0.01  # steps of quality in a file
LOWEST, SLOPE = math.log(0.06), 0.03  # of the logarithm of bits per pixel, where nothing is known: a usual photograph's


class Sizes:
    """Sizes by quality of the files of one picture, which rise with it. pixels: of the picture."""

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._known: dict[float, int] = {}

    def add(self, quality: float, size: int) -> None:
        """Know one more."""
        self._known[quality] = size

    def about(self, size: float) -> float:
        """The quality whose file is likely to have so many bytes."""
        near = sorted(self._known, key=lambda quality: abs(math.log(self._known[quality] / size)))[:2]
        if not near:
            return _possible((math.log(8 * size / self._pixels) - LOWEST) / SLOPE)
        rise = SLOPE
        if len(near) == 2:
            found = math.log(self._known[near[1]] / self._known[near[0]]) / (near[1] - near[0])
            rise = found if found > 0 else SLOPE
        return _possible(near[0] + math.log(size / self._known[near[0]]) / rise)

    def best(self, limit: int) -> float | None:
        """The highest quality that is known to fit, None if none does."""
        return max((quality for quality, size in self._known.items() if size <= limit), default=None)

    def next(self, limit: int, *, halve: bool = False) -> float | None:
        """What to try next; None where `best` leaves over no more than the tolerance, or nothing is between it and what
        does not fit. halve: where estimates have not led there.
        """
        low = self.best(limit)
        if low is not None and (low == 100 or self._known[low] >= (1 - TOLERANCE) * limit):
            return None
        high = min((quality for quality in self._known if quality > (-1 if low is None else low)), default=None)
        least = 0.0 if low is None else low + FINEST
        most = 100.0 if high is None else high - FINEST
        if least > most + FINEST / 2:
            return None
        guess = (least + most) / 2 if halve else self.about((1 - TOLERANCE / 2) * limit)
        return round(min(max(guess, least), most), 2)


def _possible(quality: float) -> float:
    return round(min(max(quality, 0.0), 100.0), 2)
