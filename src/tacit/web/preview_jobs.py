"""What workers do for the page. Photographs come to them as `opened` has made them, by their digests."""

from __future__ import annotations

import contextlib
import io
import math
import time
import weakref
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

from tacit import container
from tacit import image as images
from tacit.demo.samples import SAMPLES, sample_image
from tacit.evaluation.baselines import BASELINES, decode
from tacit.evaluation.metrics import psnr
from tacit.web import jobs
from tacit.web.sizes import Sizes

if TYPE_CHECKING:
    from tacit.codec import EncodeResult, Prepared

WEBP_SIDE = 16383  # pixels
RAW_PIXELS = 5 << 19  # above it a raw picture is more than is kept and sent with ease
THUMBNAIL = 480  # pixels
SIZE_ATTEMPTS = 16


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
    """An encoding, and what it decodes to, in a lossless file. psnr: None where nothing was lost; exact: whether it is
    what was asked for, and not merely near the size; steps: added to the quality of each 64x64 pixels, if any are;
    times: in milliseconds, of the codec and of the lossless file."""

    file: bytes
    picture: bytes
    media_type: str
    quality: float | None
    bpp: float
    psnr: float | None
    exact: bool
    steps: Grid | None
    times: dict[str, float]


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
class Grid:
    """A value for each square of `side` pixels, row by row."""

    side: int
    width: int
    height: int
    values: list[float]


def opened(upload: bytes, pixels: int | None, raw: bool, pixel_limit: int) -> Opened:
    """pixels: reduce larger photographs to so many. raw: as `_lossless` has it. Raises: UnsupportedFile, InvalidInput,
    ImageTooLarge."""
    with jobs.told() as said:
        photo = jobs.photo(upload, pixel_limit)
    return _opened(images.to_pil(photo), photo.metadata.caption, pixels, raw, tuple(said))


def sample(name: str, raw: bool) -> Opened:
    """A photograph of scikit-image, by its name in `tacit.demo.samples.SAMPLES`. Raises: MissingExtra."""
    caption = next(s.caption for s in SAMPLES if s.name == name)
    return _opened(sample_image(name), caption, None, raw, ())


def thumbnail(name: str) -> bytes:
    """The same in small, as WebP. Raises: MissingExtra."""
    image = sample_image(name)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=85)
    return stream.getvalue()


def _opened(
    image: Image.Image, caption: str | None, pixels: int | None, raw: bool, warnings: tuple[str, ...]
) -> Opened:
    own = image.size
    image = _on_white(_to_srgb(image))
    if pixels is not None and image.width * image.height > pixels:
        scale = math.sqrt(pixels / (image.width * image.height))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image.info.clear()
    return Opened(*_lossless(image, raw), image.width, image.height, *own, caption, warnings)


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


def _lossless(image: Image.Image, raw: bool) -> tuple[bytes, str]:
    """A file that browsers show, made fast rather than small, and its media type. raw: for a browser to which bytes
    cost nothing, as on the same machine."""
    stream = io.BytesIO()
    if raw and image.width * image.height <= RAW_PIXELS:
        image.save(stream, "BMP")
        return stream.getvalue(), "image/bmp"
    if max(image.size) <= WEBP_SIDE:
        image.save(stream, "WEBP", lossless=True, method=0, quality=0)
        return stream.getvalue(), "image/webp"
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue(), "image/png"


# -- tacit -----------------------------------------------------------------------------------------------------------


def encoded(photo: Stored, asked: jobs.Encoding, once: bool, raw: bool, pixel_limit: int) -> Shown:
    """The analysis is kept, so that another quality of the same photograph and caption costs less than the first.

    once: of a size, what one encoding finds, which seldom misses it by much. raw: as `_lossless` has it.
    """
    begun = time.perf_counter()
    prepared = _prepared(photo, asked, pixel_limit)
    exact = True
    if asked.size is None:
        result = _sized(prepared, asked.quality)
    else:
        result, exact = _of_size(prepared, asked.size, once)
    made = time.perf_counter()
    assert result.image is not None
    picture, media_type = _lossless(result.image.convert("RGB"), raw)
    steps = container.read(result.data, max_pixels=None).header.quality_map
    rows, columns = container.cells(result.width, result.height)
    return Shown(
        result.data,
        picture,
        media_type,
        result.quality,
        result.bpp,
        _finite(result.psnr),
        exact,
        None if steps is None else Grid(64, columns, rows, np.frombuffer(steps, np.int8).astype(float).tolist()),
        {"encode": 1000 * (made - begun), "picture": 1000 * (time.perf_counter() - made)},
    )


_sizes: weakref.WeakKeyDictionary[Prepared, Sizes] = weakref.WeakKeyDictionary()


def _known(prepared: Prepared) -> Sizes:
    return _sizes.setdefault(prepared, Sizes(prepared.raster.width * prepared.raster.height))


def _sized(prepared: Prepared, quality: float | None, *, reconstruct: bool = True) -> EncodeResult:
    """At one quality; its size is remembered."""
    result = prepared.encode(quality, reconstruct=reconstruct)
    if result.quality is not None:
        _known(prepared).add(result.quality, len(result.data))
    return result


def _of_size(prepared: Prepared, size: int, once: bool) -> tuple[EncodeResult, bool]:
    """The best that fits, and whether it is. Raises: TargetNotReached."""
    sizes = _known(prepared)
    if once and (quality := sizes.next(size)) is not None:
        result = _sized(prepared, quality)
        return result, len(result.data) <= size and sizes.next(size) is None
    for attempt in range(SIZE_ATTEMPTS):
        quality = sizes.next(size, halve=attempt % 3 == 2)
        if quality is None:
            break
        _sized(prepared, quality, reconstruct=False)
    best = sizes.best(size)
    return (prepared.encode(size=size) if best is None else _sized(prepared, best)), True


def fidelity(photo: Stored, asked: jobs.Encoding, pixel_limit: int) -> tuple[int, float | None]:
    """Bytes and PSNR of an encoding, for the curve."""
    result = _sized(_prepared(photo, asked, pixel_limit), asked.quality)
    return len(result.data), _finite(result.psnr)


def _prepared(photo: Stored, asked: jobs.Encoding, pixel_limit: int) -> Prepared:
    return jobs.kept.prepared(photo.data, photo.digest, asked, pixel_limit)


def times(photo: Stored, file: bytes, asked: jobs.Encoding, pixel_limit: int) -> Times:
    """Encode the photograph once more, from its pixels on, and decode the file."""
    codec = asked.codec()
    pixels = jobs.photo(photo.data, pixel_limit)
    begun = time.perf_counter()
    codec.encode(pixels, asked.caption, asked.quality, store_caption=asked.store_caption)
    encoded = time.perf_counter()
    codec.decode(file)
    return Times(1000 * (encoded - begun), 1000 * (time.perf_counter() - encoded))


def bit_map(photo: Stored, asked: jobs.Encoding, pixel_limit: int) -> Grid:
    """Where the bits of an encoding go."""
    bits = asked.codec().bit_map(jobs.photo(photo.data, pixel_limit), asked.caption, asked.quality)
    return Grid(16, bits.shape[1], bits.shape[0], [round(float(value), 1) for value in bits.flat])


@dataclass(frozen=True)
class Weighed:
    """The words of a caption, each with its place, its weight and the reason for it. names: what found the names."""

    words: list[dict[str, Any]]
    names: str


def weighed(caption: str) -> Weighed:
    """As `tacit weigh` weighs them."""
    from tacit.words import shared_weigher

    weigher = shared_weigher()
    return Weighed([asdict(word) for word in weigher(caption)], weigher.settings["names"])


# -- other codecs ----------------------------------------------------------------------------------------------------


def tried(photo: Stored, name: str, quality: float, pixel_limit: int) -> Tried:
    """One of `BASELINES`, at one quality. Raises: InvalidInput, where this Pillow has not got it."""

    pixels = jobs.photo(photo.data, pixel_limit).pixels
    image = Image.fromarray(pixels)
    begun = time.perf_counter()
    data = BASELINES[name].encode(image, quality)
    encoded = time.perf_counter()
    found = decode(data)
    ended = time.perf_counter()
    return Tried(data, _finite(psnr(np.asarray(found), pixels)), 1000 * (encoded - begun), 1000 * (ended - encoded))


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return None if value is None or math.isinf(value) else value
