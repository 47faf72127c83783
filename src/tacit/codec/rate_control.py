"""Rate control: the quality at which an encoding reaches its target."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tacit.errors import TargetNotReached

if TYPE_CHECKING:
    from tacit.codec.options import Target
    from tacit.image import Raster

SIZE_TOLERANCE = 0.005  # a size target is met by at most this much less
PSNR_TOLERANCE = 0.02  # dB above a PSNR target that end the search


@dataclass(frozen=True)
class Attempt:
    """One encoding at one quality; with what the decoder will make of it, where that was wanted."""

    quality: float | None
    data: bytes
    decoded: Raster | None = None
    psnr: float | None = None  # dB


AttemptAt = Callable[[float | None, bool], Attempt]
"""Encodes at a quality; the second argument says whether the image is decoded, too."""


def reach(target: Target, attempt: AttemptAt, pixels: int, reconstruct: bool) -> Attempt:
    """Return the encoding that reaches the target.

    Args:
        target: A quality, a size, a rate or a PSNR.
        attempt: Encodes at a quality.
        pixels: The number of pixels of the image.
        reconstruct: Whether the decoded image is wanted.

    Raises:
        TargetNotReached: No quality reaches the target.
    """
    if target.psnr is not None:
        reached = _reach_psnr(target.psnr, attempt)
        return reached if reconstruct else replace(reached, decoded=None)
    if target.size is not None:
        limit = target.size
        wanted = f"a file of {limit} byte{'s' if limit != 1 else ''}"
    elif target.bpp is not None:
        limit = math.floor(target.bpp * pixels / 8)
        wanted = f"{target.bpp:.4g} bpp"
    else:
        return attempt(target.quality, reconstruct)
    return _reach_size(limit, wanted, attempt, pixels, reconstruct)


def _reach_size(limit: int, wanted: str, attempt: AttemptAt, pixels: int, reconstruct: bool) -> Attempt:
    """Return the encoding of the highest quality whose file has at most `limit` bytes."""
    files: dict[float, bytes] = {}

    def size(quality: float) -> float:
        files[quality] = attempt(quality, False).data
        return math.log(len(files[quality]))

    quality = solve(size, math.log(max(limit, 1)), math.log(1 - SIZE_TOLERANCE))
    if quality is None:
        least = len(files[0.0])
        raise TargetNotReached(
            f"{wanted} cannot be reached: the lowest quality takes {least} bytes ({8 * least / pixels:.4g} bpp)"
        )
    return attempt(quality, True) if reconstruct else Attempt(quality, files[quality])


def _reach_psnr(goal: float, attempt: AttemptAt) -> Attempt:
    """Return the encoding of the lowest quality whose decoded image reaches `goal` dB."""
    best: Attempt | None = None

    def shortfall(quality: float) -> float:
        """Fall with 100 - quality, as `solve` wants it to."""
        nonlocal best
        made = attempt(100 - quality, True)
        assert made.psnr is not None
        if best is None or made.psnr >= goal:  # each that reaches it is of a lower quality than the one before
            best = made
        return -made.psnr

    reached = solve(shortfall, -goal, -PSNR_TOLERANCE) is not None
    assert best is not None
    if not reached:
        raise TargetNotReached(f"a PSNR of {goal:g} dB cannot be reached: the highest quality gives {best.psnr:.2f} dB")
    return best


def solve(value: Callable[[float], float], limit: float, below: float) -> float | None:
    """Return the largest x of 0..100, in hundredths, with value(x) <= limit, for a rising `value`.

    It is None if value(0) exceeds the limit. The search stops early at a value within `below` (negative) of the limit.
    It is regula falsi, with bisection where that stalls.
    """
    low, high = 0.0, 100.0
    at_low = value(low)
    if at_low > limit:
        return None
    at_high = value(high)
    if at_high <= limit:
        return high
    for attempt in range(16):
        if at_low >= limit + below or high - low < 0.015:
            break
        part = (limit + below / 2 - at_low) / (at_high - at_low) if attempt % 3 < 2 and at_high > at_low else 0.5
        x = round(low + min(max(part, 0.02), 0.98) * (high - low), 2)
        if x in (low, high):
            x = round((low + high) / 2, 2)
            if x in (low, high):
                break
        at_x = value(x)
        if at_x <= limit:
            low, at_low = x, at_x
        else:
            high, at_high = x, at_x
    return low
