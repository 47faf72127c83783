"""The codecs that everybody has, through Pillow, as functions of their quality."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from PIL import Image, features

from tacit.errors import InvalidInput


@dataclass(frozen=True)
class Baseline:
    """A codec of Pillow.

    options: how it is run. lowest, highest, step: its qualities. library: its name in PIL.features.
    """

    name: str
    format: str
    suffix: str
    options: Mapping[str, Any]
    lowest: int
    highest: int
    library: str
    step: float = 1

    def encode(self, image: Image.Image, quality: float) -> bytes:
        """The bytes of a file."""
        stream = io.BytesIO()
        chosen = quality if self.step < 1 else round(quality)  # most take nothing but whole numbers
        try:
            image.save(stream, self.format, quality=chosen, **self.options)
        except (KeyError, OSError) as error:
            raise InvalidInput(f"this Pillow cannot write {self.name}: {error}") from error
        return stream.getvalue()

    @property
    def version(self) -> str | None:
        """Of the library behind it."""
        return features.version(self.library)

    @property
    def setting(self) -> str:
        """How it is run, in words."""
        return ", ".join(name if value is True else f"{name} {value}" for name, value in self.options.items())


# Pillow's own choice of chroma subsampling, 4:2:0, in all three.
BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        b.name: b
        for b in (
            Baseline("JPEG", "JPEG", "jpg", {"optimize": True, "progressive": True}, 1, 95, "jpg"),
            Baseline("WebP", "WEBP", "webp", {"method": 6}, 0, 100, "webp", step=0.1),
            Baseline("AVIF", "AVIF", "avif", {"speed": 4}, 0, 100, "avif"),
        )
    }
)


def decode(data: bytes) -> Image.Image:
    """The picture of a file that Pillow reads, as RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def largest_within(codec: Baseline, encode: Callable[[float], bytes], limit: int) -> tuple[float, bytes]:
    """The highest quality of `codec` whose file has at most `limit` bytes, and the file; the lowest one if none has.

    encode: a quality -> the file.
    """
    made: dict[float, bytes] = {}
    search = search_within(codec, limit)
    try:
        quality = next(search)
        while True:
            made[quality] = encode(quality)
            quality = search.send(len(made[quality]))
    except StopIteration as end:
        found: float = end.value
        return found, made[found]


def search_within(codec: Baseline, limit: int, tolerance: float = 0.0) -> Generator[float, int, float]:
    """The search of `largest_within`, for whoever encodes elsewhere: it yields qualities to try, is sent the size of
    each file, and returns the quality that it has found.

    tolerance: the part of the limit that may be left over. Bisection; where the search may end early, by interpolation
    of the sizes' logarithms. Sizes are taken to rise with quality: what is returned never exceeds the limit unless
    nothing fits.
    """
    steps = round(1 / codec.step)
    low, high = codec.lowest * steps, codec.highest * steps + 1  # `low` fits, `high` does not
    at_low, at_high = (yield low / steps), 0
    if at_low > limit:
        return low / steps
    for attempt in itertools.count():
        if high - low <= 1 or at_low > limit * (1 - tolerance):
            break
        interpolate = tolerance > 0 and at_high > 0 and attempt % 3 > 0  # else it may stall at one end
        part = math.log(limit / at_low) / math.log(at_high / at_low) if interpolate else 0.5
        middle = min(max(low + math.floor(part * (high - low)), low + 1), high - 1)
        size = yield middle / steps
        if size <= limit:
            low, at_low = middle, size
        else:
            high, at_high = middle, size
    return low / steps
