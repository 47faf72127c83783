"""Encodings that the page shows. Their images were made by `display_images`, and are known by their digests."""

from __future__ import annotations

import math
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tacit import container
from tacit.codec.keep import KeptBox
from tacit.codec.rate_control import SIZE_TOLERANCE, SizeSearch
from tacit.web.jobs.coding import EncodeArguments
from tacit.web.jobs.display_images import lossless_file
from tacit.web.jobs.finding import SeenThing, seen_things
from tacit.web.jobs.prepared_images import prepared_images
from tacit.web.jobs.uploads import UploadedImage, load_upload
from tacit.web.jobs.warning_messages import collected_messages

if TYPE_CHECKING:
    from tacit.codec import EncodeResult, Prepared

CELL_SIDE = 64  # pixels of a cell of a quality map
LATENT_SIDE = 16  # pixels of a cell of a bit map


@dataclass(frozen=True)
class ValueGrid:
    """A value for each square of `side` x `side` pixels of an image."""

    side: int
    width: int  # squares in a row
    height: int
    values: list[float]  # row by row


@dataclass(frozen=True, kw_only=True)
class PreviewEncoding:
    """A `.tacit` file, and the image that it decodes to as a lossless file."""

    file: bytes
    decoded: bytes
    media_type: str  # of the decoded image
    quality: float | None  # None for fixed-rate weights
    bpp: float  # bits of the whole file per pixel
    psnr: float | None  # in dB; None if nothing was lost
    exact: bool  # whether the target was reached, and not only approached
    steps: ValueGrid | None  # what is added to the quality of each cell; None if nothing is
    things: tuple[SeenThing, ...] | None  # what the caption names; None if it was not looked for
    kept: tuple[KeptBox, ...]  # what was to be kept
    kept_bytes: int | None  # that this costs
    times: dict[str, float]  # milliseconds, of the codec and of the lossless file
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class CodecTimes:
    """How long encoding and decoding take as a whole, in milliseconds."""

    encode: float
    decode: float


def encode_preview(
    image: UploadedImage, arguments: EncodeArguments, once: bool, uncompressed: bool, pixel_limit: int
) -> PreviewEncoding:
    """Encode an image and decode it again.

    The analysis of the image is kept, so that another quality of the same image and caption takes less time.

    Args:
        image: The image.
        arguments: How to encode it, with a quality or a size.
        once: For a size, encode only once: the result seldom misses the size by much.
        uncompressed: As of `lossless_file`.
        pixel_limit: The largest number of pixels that is decoded.

    Raises:
        TargetNotReached: No file is as small as the size.
    """
    start = time.perf_counter()
    exact = True
    with collected_messages() as messages:
        prepared = _prepared(image, arguments, pixel_limit)
        if arguments.options.effort or arguments.options.keep:  # of which `_encode_to_size` would make many
            target = arguments.options.target
            result = prepared.encode(target.quality, size=target.size, reconstruct=True)
        elif arguments.options.size is None:
            result = _encode_at(prepared, arguments.options.quality)
        else:
            result, exact = _encode_to_size(prepared, arguments.options.size, once)
    encoded = time.perf_counter()
    assert result.image is not None
    found = None if arguments.options.boxes is not None else result.found
    decoded, media_type = lossless_file(result.image.convert("RGB"), uncompressed)
    return PreviewEncoding(
        file=result.data,
        decoded=decoded,
        media_type=media_type,
        quality=result.quality,
        bpp=result.bpp,
        psnr=finite(result.psnr),
        exact=exact,
        steps=_quality_steps(result),
        things=None if found is None else seen_things(found, result.width, result.height),
        kept=result.kept,
        kept_bytes=result.kept_bytes,
        times={"encode": 1000 * (encoded - start), "pack": 1000 * (time.perf_counter() - encoded)},
        warnings=tuple(messages),
    )


def curve_point(image: UploadedImage, arguments: EncodeArguments, pixel_limit: int) -> tuple[int, float | None]:
    """Return the bytes and the PSNR in dB of an encoding; the PSNR is None if nothing was lost."""
    result = _encode_at(_prepared(image, arguments, pixel_limit), arguments.options.quality)
    return len(result.data), finite(result.psnr)


def codec_times(image: UploadedImage, file: bytes, arguments: EncodeArguments, pixel_limit: int) -> CodecTimes:
    """Measure encoding an image from its pixels, and decoding its file."""
    codec = arguments.codec()
    raster = load_upload(image.data, pixel_limit)
    start = time.perf_counter()
    codec.encode(raster, arguments.caption, options=arguments.options)
    encoded = time.perf_counter()
    codec.decode(file)
    return CodecTimes(1000 * (encoded - start), 1000 * (time.perf_counter() - encoded))


def bit_map(image: UploadedImage, file: bytes | None, arguments: EncodeArguments, pixel_limit: int) -> ValueGrid:
    """Return how many bits each square of 16x16 pixels takes.

    Args:
        image: The image.
        file: The file that was made of it with these arguments, whose qualities are taken from there whatever they were
            made by; None for an encoding that steers to nothing.
        arguments: How the image is encoded, with a quality.
        pixel_limit: The largest number of pixels that is decoded.
    """
    steps = None if file is None else _quality_map(file)
    bits = arguments.codec().bit_map(
        load_upload(image.data, pixel_limit), arguments.caption, arguments.options.quality, quality_map=steps, steer=0
    )
    return ValueGrid(LATENT_SIDE, bits.shape[1], bits.shape[0], [round(float(value), 1) for value in bits.flat])


def finite(value: float | None) -> float | None:
    """Return the value, or None for infinity, which JSON does not have."""
    return None if value is None or math.isinf(value) else value


_sizes: weakref.WeakKeyDictionary[Prepared, SizeSearch] = weakref.WeakKeyDictionary()


def _known_sizes(prepared: Prepared) -> SizeSearch:
    pixels = prepared.raster.width * prepared.raster.height
    return _sizes.setdefault(prepared, SizeSearch(tolerance=SIZE_TOLERANCE, pixels=pixels))


def _prepared(image: UploadedImage, arguments: EncodeArguments, pixel_limit: int) -> Prepared:
    return prepared_images.get(image.data, image.digest, arguments, pixel_limit)


def _encode_at(prepared: Prepared, quality: float | None, *, reconstruct: bool = True) -> EncodeResult:
    """Encode at one quality, and remember the size."""
    result = prepared.encode(quality, reconstruct=reconstruct)
    if result.quality is not None:
        _known_sizes(prepared).add(result.quality, len(result.data))
    return result


def _encode_to_size(prepared: Prepared, size: int, once: bool) -> tuple[EncodeResult, bool]:
    """Return the best encoding of at most `size` bytes, and whether it is the best."""
    sizes = _known_sizes(prepared)
    if once and (quality := sizes.next(size)) is not None:
        result = _encode_at(prepared, quality)
        return result, len(result.data) <= size and sizes.next(size) is None
    for quality in sizes.steps(size):
        _encode_at(prepared, quality, reconstruct=False)  # which adds its size
    best = sizes.best(size)
    return (prepared.encode(size=size) if best is None else _encode_at(prepared, best)), True


def _quality_steps(result: EncodeResult) -> ValueGrid | None:
    steps = _quality_map(result.data)
    return None if steps is None else ValueGrid(CELL_SIDE, steps.shape[1], steps.shape[0], steps.ravel().tolist())


def _quality_map(file: bytes) -> np.ndarray | None:
    """Return what a file adds to the quality of each cell, or None."""
    header = container.read(file, max_pixels=None).header
    if header.quality_map is None:
        return None
    steps = np.frombuffer(header.quality_map, np.int8).astype(float)
    return steps.reshape(container.cells(header.width, header.height))
