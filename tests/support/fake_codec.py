"""A codec that encodes nothing, for tests of what surrounds one: it stores an image as PNG and remembers its calls."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tacit.codec.keep import KeptBox
from tacit.codec.options import DEFAULT_QUALITY, EncodeOptions
from tacit.errors import CorruptFile, TargetNotReached, UnknownModel
from tacit.finding import Found, FoundThing
from tacit.image import Raster, to_pil

MAGIC = b"FAKE"


@dataclass(frozen=True)
class FakeResult:
    data: bytes
    quality: float | None
    bpp: float
    psnr: float | None
    width: int
    height: int
    caption: str | None
    found: Found | None = None
    kept: tuple[KeptBox, ...] = ()
    kept_bytes: int | None = None


class FakeCodec:
    """Stores the image as PNG behind `MAGIC`; remembers how it was made and called."""

    made: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    before: Callable[[], object]

    def __init__(self, model: str = "tacit-s", **options: Any) -> None:
        if model == "unknown":
            raise UnknownModel("no model is called unknown; there are: tacit-s")
        self.made.append({"model": model, **options})

    def encode_result(
        self,
        image: Raster,
        caption: str | None = None,
        *,
        options: EncodeOptions,
        progress: Callable[[float], None] | None = None,
    ) -> FakeResult:
        self.before()
        if progress is not None:
            progress(0.5)
        self.calls.append({"caption": caption, "options": options})
        if options.size is not None and options.size < 100:
            raise TargetNotReached(f"{options.size} bytes: the smallest is 321")
        stream = io.BytesIO()
        to_pil(image).save(stream, "PNG")
        data = MAGIC + stream.getvalue()
        bpp = 8 * len(data) / (image.width * image.height)
        quality = DEFAULT_QUALITY if options.quality is None else options.quality
        found = None
        if caption and options.steer != 0:  # it never sees a boat
            found = Found(np.zeros((1, 1)), (FoundThing(caption, (), None if "boat" in caption else np.ones((1, 1))),))
        kept = tuple(
            KeptBox(keep=keep, box=keep.box or (0, 0, image.width, image.height), reached=keep.least + 0.5)
            for keep in options.keep
        )
        return FakeResult(
            data, quality, bpp, None, image.width, image.height, caption, found, kept, 123 if options.keep else None
        )

    def decode(
        self,
        data: bytes,
        *,
        box: tuple[int, int, int, int] | None = None,
        max_side: int | None = None,
        salvage: bool = False,
        partial: bool = False,
    ) -> Image.Image:
        rare = {**({"partial": True} if partial else {}), **({"max_side": max_side} if max_side else {})}
        self.calls.append({"box": box, "salvage": salvage, **rare})
        if not data.startswith(MAGIC):
            raise CorruptFile("not what I wrote")
        image = Image.open(io.BytesIO(data[len(MAGIC) :]))
        return image.crop(box) if box else image.copy()
