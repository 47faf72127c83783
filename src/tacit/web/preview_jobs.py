"""What workers do for the page. Photographs come to them as `opened` has made them, by their digests."""

from __future__ import annotations

import contextlib
import io
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image, ImageCms

from tacit import demo
from tacit import image as images
from tacit.evaluation.baselines import BASELINES, decode
from tacit.evaluation.metrics import psnr
from tacit.web import jobs, worker

if TYPE_CHECKING:
    from tacit.codec import Prepared

T = TypeVar("T")

WEBP_SIDE = 16383  # pixels
THUMBNAIL = 480  # pixels


@dataclass(frozen=True)
class Opened:
    """A photograph as the page has it: upright sRGB without metadata, in a lossless file.

    own_width, own_height: before it was reduced. caption: in its metadata. warnings: of what could not be kept.
    """

    data: bytes
    media_type: str
    width: int
    height: int
    own_width: int
    own_height: int
    caption: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Stored:
    """A photograph that was opened, where it is kept. digest: of data."""

    data: bytes
    digest: str


@dataclass(frozen=True)
class Shown:
    """An encoding, and what it decodes to, in a lossless file. psnr: None where nothing was lost."""

    file: bytes
    picture: bytes
    media_type: str
    quality: float | None
    bpp: float
    psnr: float | None


@dataclass(frozen=True)
class Tried:
    """Another codec's file. Times in milliseconds; psnr as in Shown."""

    data: bytes
    psnr: float | None
    encode_time: float
    decode_time: float


@dataclass(frozen=True)
class Times:
    """Of all of encoding and decoding, in milliseconds."""

    encode: float
    decode: float


@dataclass(frozen=True)
class BitMap:
    """Bits for 16x16 pixels each, row by row."""

    width: int
    height: int
    bits: list[float]


def opened(upload: bytes, pixels: int | None, pixel_limit: int) -> Opened:
    """pixels: reduce larger photographs to so many. Raises: UnsupportedFile, InvalidInput, ImageTooLarge."""
    with jobs.told() as said:
        photo = jobs.photo(upload, pixel_limit)
    return _opened(images.to_pil(photo), photo.metadata.caption, pixels, tuple(said))


def sample(name: str) -> Opened:
    """A photograph of scikit-image, by its name in `tacit.demo.SAMPLES`. Raises: MissingExtra."""
    caption = next(s.caption for s in demo.SAMPLES if s.name == name)
    return _opened(demo.photograph(name), caption, None, ())


def thumbnail(name: str) -> bytes:
    """The same in small, as WebP. Raises: MissingExtra."""
    image = demo.photograph(name)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=85)
    return stream.getvalue()


def _opened(image: Image.Image, caption: str | None, pixels: int | None, warnings: tuple[str, ...]) -> Opened:
    own = image.size
    image = _on_white(_to_srgb(image))
    if pixels is not None and image.width * image.height > pixels:
        scale = math.sqrt(pixels / (image.width * image.height))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image.info.clear()
    return Opened(*_lossless(image), image.width, image.height, *own, caption, warnings)


def _to_srgb(image: Image.Image) -> Image.Image:
    """What is beside each other on the page shall differ by nothing but the codec, so colours are those of the web; a
    profile that cannot be used is passed over."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" not in ImageCms.getProfileDescription(own):
            alpha = image.getchannel("A") if "A" in image.getbands() else None
            colours = image.convert("L" if image.mode.startswith("L") else "RGB")
            colours = ImageCms.profileToProfile(colours, own, ImageCms.createProfile("sRGB"), outputMode="RGB")  # type: ignore[assignment]
            if alpha is not None:
                colours.putalpha(alpha)
            return colours
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if "A" not in image.getbands():
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


def _lossless(image: Image.Image) -> tuple[bytes, str]:
    """A file that browsers show, made fast rather than small, and its media type."""
    stream = io.BytesIO()
    if max(image.size) <= WEBP_SIDE:
        image.save(stream, "WEBP", lossless=True, method=0, quality=0)
        return stream.getvalue(), "image/webp"
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue(), "image/png"


# -- tacit -----------------------------------------------------------------------------------------------------------


def encoded(photo: Stored, asked: jobs.Encoding, pixel_limit: int) -> Shown:
    """The analysis is kept, so that another quality of the same photograph and caption costs less than the first."""
    result = _prepared(photo, asked, pixel_limit).encode(asked.quality, size=asked.size, reconstruct=True)
    assert result.image is not None
    picture, media_type = _lossless(result.image.convert("RGB"))
    return Shown(result.data, picture, media_type, result.quality, result.bpp, _finite(result.psnr))


def fidelity(photo: Stored, asked: jobs.Encoding, pixel_limit: int) -> tuple[int, float | None]:
    """Bytes and PSNR of an encoding, for the curve."""

    def work() -> tuple[int, float | None]:
        result = _prepared(photo, asked, pixel_limit).encode(asked.quality, reconstruct=True)
        return len(result.data), _finite(result.psnr)

    return _aside(work)


def _prepared(photo: Stored, asked: jobs.Encoding, pixel_limit: int) -> Prepared:
    return jobs.kept.prepared(photo.data, photo.digest, asked.caption, pixel_limit, store_caption=asked.store_caption)


def times(photo: Stored, file: bytes, asked: jobs.Encoding, pixel_limit: int) -> Times:
    """Encode the photograph once more, from its pixels on, and decode the file."""
    codec = worker.codec()
    pixels = jobs.photo(photo.data, pixel_limit)
    begun = time.perf_counter()
    codec.encode(pixels, asked.caption, asked.quality, store_caption=asked.store_caption)
    encoded = time.perf_counter()
    codec.decode(file)
    return Times(1000 * (encoded - begun), 1000 * (time.perf_counter() - encoded))


def bit_map(photo: Stored, asked: jobs.Encoding, pixel_limit: int) -> BitMap:
    """Where the bits of an encoding go."""
    bits = worker.codec().bit_map(jobs.photo(photo.data, pixel_limit), asked.caption, asked.quality)
    return BitMap(bits.shape[1], bits.shape[0], [round(float(value), 1) for value in bits.flat])


def weighed(caption: str) -> list[dict[str, Any]]:
    """The words of a caption, each with its place, its weight and the reason for it."""
    from tacit.words import weigh

    return _aside(lambda: [asdict(word) for word in weigh(caption)])


# -- other codecs ----------------------------------------------------------------------------------------------------


def tried(photo: Stored, name: str, quality: float, pixel_limit: int) -> Tried:
    """One of `BASELINES`, at one quality. Raises: InvalidInput, where this Pillow has not got it."""

    def work() -> Tried:
        pixels = jobs.photo(photo.data, pixel_limit).pixels
        image = Image.fromarray(pixels)
        begun = time.perf_counter()
        data = BASELINES[name].encode(image, quality)
        encoded = time.perf_counter()
        found = decode(data)
        ended = time.perf_counter()
        return Tried(data, _finite(psnr(np.asarray(found), pixels)), 1000 * (encoded - begun), 1000 * (ended - encoded))

    return _aside(work)


def _aside(work: Callable[[], T]) -> T:
    """Work that shall not hold up what somebody waits for: where the system can, in a thread of low priority, which
    the threads that libraries start inherit. A process could not take its own back."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        with contextlib.suppress(AttributeError, OSError):  # not on every system
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="aside")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return None if value is None or math.isinf(value) else value
