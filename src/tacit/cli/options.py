"""Kinds of values, and options that commands share."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import click

from tacit.errors import PathError


class Size(click.ParamType[int]):
    """A number of bytes as people write it: 60kB, 1.5 MB, 48KiB, 60000."""

    name = "size"
    _units: Mapping[str, int] = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmg]i?)?b?", str(value).strip().lower())
        size = round(float(match[1]) * self._units[match[2] or ""]) if match else 0
        if size < 1:
            self.fail(f"{value!r} is not a size such as 60kB (1000 bytes each), 48KiB (1024) or 60000", param, ctx)
        return size


class Box(click.ParamType[tuple[int, int, int, int]]):
    """LEFT,TOP,WIDTH,HEIGHT in pixels, as Pillow's (left, top, right, bottom)."""

    name = "left,top,width,height"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", str(value))
        left, top, width, height = map(int, match.groups()) if match else (0, 0, 0, 0)
        if width < 1 or height < 1:
            self.fail(f"{value!r} is not LEFT,TOP,WIDTH,HEIGHT in pixels, such as 100,50,640,480", param, ctx)
        return (left, top, left + width, top + height)


class Price(click.ParamType[tuple[float, float]]):
    """IN,OUT in US dollars for a million tokens."""

    name = "in,out"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*,\s*(\d+(?:\.\d*)?|\.\d+)\s*", str(value))
        if match is None:
            self.fail(f"{value!r} is not IN,OUT in dollars for a million tokens, such as 2.50,10", param, ctx)
        return float(match[1]), float(match[2])


class Number(click.FloatRange):
    """A number in a range; `nan`, which compares with nothing, is in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


def _options(*options: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[..., Any]:
    """Several options as one decorator, so that commands share them."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        """The command with these options."""
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


output_options = _options(
    click.option(
        "-o", "--output", metavar="PATH", help="File or folder, or - for standard output.  [default: beside each input]"
    ),
    click.option("-f", "--force", is_flag=True, help="Overwrite files that exist."),
)
machine_options = _options(
    click.option(
        "-j", "--jobs", metavar="N", type=click.IntRange(1, 256), default=1, show_default=True, help="Files at a time."
    ),
    click.option(
        "--threads", metavar="N", type=click.IntRange(1, 1024), help="CPU threads per file.  [default: cores / jobs]"
    ),
    click.option(
        "--device",
        metavar="NAME",
        default="cpu",
        show_default=True,
        help="Where the network runs: cpu, cuda, cuda:1, ...",
    ),
)
report_options = _options(
    click.option("--json", "as_json", is_flag=True, help="One JSON object per file on standard output."),
    click.option("--quiet", is_flag=True, help="Say only what went wrong."),
)
weights_file_options = _options(
    click.argument("out", required=False),
    click.option("-o", "--output", metavar="OUT", help="The same as OUT."),
    click.option("-f", "--force", is_flag=True, help="Overwrite OUT if it exists."),
)


def weights_file(after: str | None, output: str | None, force: bool) -> str:
    """The weights file to write, which may be named after what it is made of or by -o/--output.

    Raises: click.UsageError, for none or two; PathError, for one that is there, unless `force`.
    """
    if after is not None and output is not None:
        raise click.UsageError("Name one OUT: after CHECKPOINT, or with -o/--output.")
    out = after or output
    if not out:
        raise click.UsageError("Name the weights file to write: CHECKPOINT OUT, or -o/--output OUT.")
    if not force and os.path.lexists(out):
        raise PathError(f"{out} is there already (-f/--force overwrites it)")
    return out
