"""The codecs that everybody has, through Pillow, as functions of their quality."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from PIL import Image, features

from tacit.codec.rate_control import Scale, SizeSearch
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
    def scale(self) -> Scale:
        """Its qualities, as a search takes them."""
        return Scale(self.lowest, self.highest, self.step)

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
    """Return the highest quality of `codec` whose file has at most `limit` bytes, and the file.

    It is the lowest quality where no file is that small.

    Args:
        codec: The codec, whose qualities are tried.
        encode: Makes the file of a quality.
        limit: Bytes.
    """
    made: dict[float, bytes] = {}
    search = SizeSearch(codec.scale)
    for quality in search.steps(limit):
        made[quality] = encode(quality)
        search.add(quality, len(made[quality]))
    best = search.best(limit)
    chosen = codec.lowest if best is None else best
    return chosen, made[chosen]
