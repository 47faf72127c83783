"""Kinds of values on the command line that click does not know, such as sizes in bytes and boxes in pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import click

from tacit.codec.keep import Keep
from tacit.errors import InvalidInput

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"


class ByteSize(click.ParamType[int]):
    """A number of bytes as people write it: 60kB, 1.5 MB, 48KiB or 60000."""

    name = "size"
    _units: Mapping[str, int] = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes, at least 1."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(rf"{_NUMBER}\s*([kmg]i?)?b?", str(value).strip().lower())
        size = round(float(match[1]) * self._units[match[2] or ""]) if match else 0
        if size < 1:
            self.fail(
                f"must be a size such as 60kB (1000 bytes each), 48KiB (1024) or 60000, got {value!r}", param, ctx
            )
        return size


class Share(click.ParamType[float]):
    """A part of a whole, as 25% or 0.25."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the part, above 0 and up to 1."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(rf"{_NUMBER}\s*(%?)", str(value).strip())
        share = float(match[1]) / (100 if match[2] else 1) if match else 0.0
        if not 0 < share <= 1:
            self.fail(f"must be above 0 and at most 1, such as 25% or 0.25, got {value!r}", param, ctx)
        return share


class CropBox(click.ParamType[tuple[int, int, int, int]]):
    """A part of an image as LEFT,TOP,WIDTH,HEIGHT in pixels."""

    name = "left,top,width,height"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        """Return the part as (left, top, right, bottom)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", str(value))
        left, top, width, height = map(int, match.groups()) if match else (0, 0, 0, 0)
        if width < 1 or height < 1:
            self.fail(f"must be LEFT,TOP,WIDTH,HEIGHT in pixels, such as 100,50,640,480, got {value!r}", param, ctx)
        return (left, top, left + width, top + height)


class KeptThing(click.ParamType[Keep]):
    """What an encoding keeps, as WHAT=NUMBERdB or WHAT=NUMBERssimulacra2.

    Args:
        boxed: Whether WHAT is a box as LEFT,TOP,WIDTH,HEIGHT in pixels, instead of a phrase.
    """

    name = "what=fidelity"

    def __init__(self, *, boxed: bool = False) -> None:
        self._boxed = boxed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Keep:
        """Return what is to be kept."""
        if isinstance(value, Keep):
            return value
        try:
            return Keep.boxed(str(value)) if self._boxed else Keep.named(str(value))
        except InvalidInput as error:
            self.fail(str(error), param, ctx)


class TokenPrice(click.ParamType[tuple[float, float]]):
    """The price of a million tokens as IN,OUT in US dollars."""

    name = "in,out"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Return the price of a million tokens that are read, and of a million that are written."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(rf"\s*{_NUMBER}\s*,\s*{_NUMBER}\s*", str(value))
        if match is None:
            self.fail(f"must be IN,OUT in dollars for a million tokens, such as 2.50,10, got {value!r}", param, ctx)
        return float(match[1]), float(match[2])


class WorkerRange(click.ParamType[tuple[int, int]]):
    """A number of workers as N, or a range of numbers as LEAST-MOST."""

    name = "n|least-most"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the least and the most number of workers, both at least 1."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", str(value))
        least, most = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= least <= most:
            self.fail(f"must be a number of workers such as 4, or a range such as 2-16, got {value!r}", param, ctx)
        return least, most


class NumberRange(click.FloatRange):
    """A number in a range. It is never `nan`, which compares as false with both ends of every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"must be a number, got {value!r}", param, ctx)
        return number
