"""Codecs that Pillow runs, itself or with a plugin; `pillow_formats` has them."""

from __future__ import annotations

import copy
import importlib
import importlib.metadata
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from tacit.codec.rate_control import Scale, SizeSearch
from tacit.errors import InvalidInput
from tacit.evaluation.codecs.protocol import CaptionSource, Pixels, Quality
from tacit.evaluation.cost import Cost, measure_cost


@dataclass(frozen=True, kw_only=True)
class PillowCodec:
    """A format that Pillow writes."""

    name: str
    """The codec's name in results."""
    title: str
    """The codec's name for readers."""
    format: str
    """Pillow's name of the format."""
    suffix: str
    """The suffix of its files, without the dot."""
    options: Mapping[str, Any]
    """The options that Pillow is given for every file."""
    fixed_options: Mapping[str, Any] = field(default_factory=dict)
    """Further options for measurements, which make files independent of how many cores there are."""
    qualities: tuple[Quality, ...]
    """The qualities that are measured by default, by rising rate."""
    highest: float
    """The highest quality."""
    lowest: float = 0
    """The lowest quality that a search tries; JPEG's 0 means the same as 1."""
    library: Callable[[], str | None]
    """Returns the version of the library behind the format, or None where there is none."""
    parameter: Literal["quality", "dB"] = "quality"
    """What a quality means: Pillow's option "quality", or the PSNR in dB that JPEG 2000 aims at."""
    step: float = 1
    """The smallest difference between two qualities."""
    plugin: str | None = None
    """The module that adds the format to Pillow, if it is not built in."""
    extra: str = "eval"
    """The extra of this package that installs the plugin."""
    tune: Callable[[], str] | None = None
    """Returns what the encoder optimises, where that is a choice."""
    captions: CaptionSource = "none"
    is_own: bool = False
    held_memory: int = 0

    def missing(self) -> str | None:
        """Return what has to be installed before the codec can be used, or None."""
        if self.plugin is not None:
            try:
                importlib.import_module(self.plugin)
            except ImportError:
                return f"{self.name} needs a plugin of Pillow: pip install 'tacit[{self.extra}]'"
        Image.init()
        if self.format not in Image.SAVE or self.library() is None:
            return f"{self.name}: this Pillow ({importlib.metadata.version('pillow')}) was built without it"
        return None

    def settings(self) -> Mapping[str, Any]:
        """Return the options and versions that the files depend on."""
        return {
            "format": self.format,
            "options": {**self.options, **self.fixed_options},
            "quality": self.parameter,
            **({"tune": self.tune()} if self.tune is not None else {}),
            "library": self.library(),
            "pillow": importlib.metadata.version("pillow"),
        }

    def check(self, quality: Quality) -> Quality:
        """Return the quality.

        Raises:
            InvalidInput: The format does not have this quality.
        """
        if isinstance(quality, str) or not 0 <= quality <= self.highest:
            raise InvalidInput(f"{self.name}: quality must be 0 to {self.highest:g}, got {quality}")
        if self.step == 1 and quality != int(quality):
            raise InvalidInput(f"{self.name}: quality must be a whole number, got {quality}")
        return quality

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        """Encode an image [H, W, 3] into a file."""
        assert not isinstance(quality, str)
        if self.plugin is not None:
            importlib.import_module(self.plugin)
        image = Image.fromarray(pixels)
        # A copy in depth, since a plugin adds to the tables within.
        options = copy.deepcopy({**self.options, **self.fixed_options})
        if self.parameter == "dB":
            options |= {"quality_mode": "dB", "quality_layers": [quality]}
        else:
            options["quality"] = int(quality) if self.step == 1 else quality
        if self.format == "JXL":
            options["num_threads"] = threads
        return measure_cost(lambda: image.save(target, self.format, **options))[1]

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        """Decode a file to [H, W, 3] uint8."""
        if self.plugin is not None:
            importlib.import_module(self.plugin)

        def read() -> Pixels:
            with Image.open(source, formats=[self.format]) as image:
                return np.asarray(image.convert("RGB"))

        with _decoding_threads(self.format, threads):
            return measure_cost(read)

    def decode_unclamped(self, source: Path, quality: Quality, threads: int) -> None:
        """Return None: Pillow decodes to 8 bits."""

    def encode_image(self, image: Image.Image, quality: float) -> bytes:
        """Encode an image with as many cores as Pillow likes, and return the file.

        Raises:
            InvalidInput: This Pillow cannot write the format.
        """
        stream = io.BytesIO()
        rounded = quality if self.step < 1 else round(quality)  # most formats take whole numbers only
        try:
            image.save(stream, self.format, quality=rounded, **self.options)
        except (KeyError, OSError) as error:
            raise InvalidInput(f"this Pillow cannot write {self.title}: {error}") from error
        return stream.getvalue()

    @property
    def scale(self) -> Scale:
        """The qualities that a search can try."""
        return Scale(self.lowest, self.highest, self.step)

    @property
    def setting(self) -> str:
        """The options in words."""
        return option_text(self.options)


def option_text(options: Mapping[str, Any]) -> str:
    """Return options in words, as in `optimize, progressive` or `speed 4, tune psnr`.

    A table within is told by its entries, and what is switched off is left out.
    """
    words = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            words.append(option_text(value))
        elif value is not False:
            words.append(name if value is True else f"{name} {value}")
    return ", ".join(words)


def decode_image(data: bytes) -> Image.Image:
    """Decode a file that Pillow reads, as RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def largest_file(
    codec: PillowCodec,
    encode: Callable[[float], bytes],
    limit: int,
    *,
    pixels: int | None = None,
    known: Mapping[float, bytes] | None = None,
) -> tuple[float, bytes]:
    """Return the highest quality whose file has at most `limit` bytes, and the file.

    Where no file is that small, they are those of the lowest quality. Without `pixels` and `known` this is bisection;
    with them it interpolates, and ends as bisection does: at a quality whose next higher one was found too large.

    Args:
        codec: The codec, whose qualities are tried.
        encode: Returns the file of a quality.
        limit: The limit in bytes.
        pixels: The number of pixels of a photograph; then the search begins where a usual rate leads.
        known: Files of the image that are there already, by quality, such as those of a search with another limit.
    """
    files = dict(known or {})
    search = SizeSearch(codec.scale, pixels=pixels)
    for quality, data in files.items():
        search.add(quality, len(data))
    for quality in search.steps(limit):
        files[quality] = encode(quality)
        search.add(quality, len(files[quality]))
    best = search.best(limit)
    quality = codec.lowest if best is None else best
    return quality, files[quality]


# Formats whose plugins decode with all cores, unless a variable of the plugin says otherwise.
_THREAD_VARIABLES = {
    "AVIF": ("PIL.AvifImagePlugin", "DEFAULT_MAX_THREADS"),
    "HEIF": ("pillow_heif.options", "DECODE_THREADS"),
    "JXL": ("pillow_jxl.JpegXLImagePlugin", "DECODE_THREADS"),
}


@contextmanager
def _decoding_threads(format: str, threads: int) -> Iterator[None]:
    """Limit the threads that Pillow's plugin of a format decodes with, as every other codec's are limited."""
    if format not in _THREAD_VARIABLES:
        yield
        return
    module, variable = _THREAD_VARIABLES[format]
    plugin = importlib.import_module(module)
    before = getattr(plugin, variable)
    setattr(plugin, variable, threads)
    try:
        yield
    finally:
        setattr(plugin, variable, before)
