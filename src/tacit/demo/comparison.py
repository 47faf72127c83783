"""Compress sample images with tacit and with JPEG, WebP and AVIF at the same sizes, into files that a page can show.

Everything is measured on files: `.tacit` files are written, read back and decoded, and so are the other codecs' files.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from tacit import files
from tacit.demo.samples import SampleImage
from tacit.evaluation.codecs.pillow import PillowCodec, decode_image, largest_file
from tacit.evaluation.codecs.pillow_formats import BASELINES
from tacit.image.psnr import psnr

if TYPE_CHECKING:
    from tacit.codec import Codec

T = TypeVar("T")
Encoded = dict[tuple[str, float], tuple[bytes, float]]  # files and seconds, by codec and quality


@dataclass(frozen=True, kw_only=True)
class CodecFile:
    """One codec's file of one image, and what was measured on it."""

    codec: str
    """The codec's name."""
    file: str
    """The file's path below the output folder."""
    image: str
    """The path of the image that the page shows: the decoded PNG for tacit, else the file itself."""
    size: int
    """The file's size in bytes."""
    bpp: float
    """The file's size in bits per pixel."""
    psnr: float
    """PSNR of the decoded 8-bit RGB in dB; infinite where nothing was lost."""
    setting: str
    """How the file was encoded, in words."""
    encode_seconds: float
    """Wall-clock time of encoding."""
    decode_seconds: float
    """Wall-clock time of decoding."""
    too_large: bool = False
    """Whether the file is larger than tacit's, because the codec has no smaller one."""


@dataclass(frozen=True)
class EqualSizeFiles:
    """All codecs' files of one image at the size of one `.tacit` file."""

    quality: float
    """The quality of the `.tacit` file, 0 to 100."""
    files: tuple[CodecFile, ...]
    """One file for each codec; the `.tacit` file comes first."""


@dataclass(frozen=True)
class ImageComparison:
    """One sample image, compressed by all codecs at several sizes."""

    sample: SampleImage
    width: int
    """The image's width in pixels."""
    height: int
    """The image's height in pixels."""
    rows: tuple[EqualSizeFiles, ...]
    """The files at each size, by rising quality."""


def compare(
    codec: Codec, sample: SampleImage, image: Image.Image, qualities: Sequence[float], out: Path
) -> ImageComparison:
    """Compress one image with all codecs, into a folder of its own below `out`.

    Args:
        codec: Encodes and decodes the `.tacit` files.
        sample: The image's name and caption.
        image: The image, RGB.
        qualities: The qualities of the `.tacit` files, 0 to 100, whose sizes the other codecs get.
        out: The folder to write to.

    Raises:
        PathError: A file cannot be written.
    """
    _write_png(out / sample.name / "original.png", image)
    rows = []
    encoded: Encoded = {}  # the searches for several sizes try the same qualities
    for quality in sorted(qualities):
        stem = f"{sample.name}/q{quality:g}"
        data, encode_seconds = _timed(partial(codec.encode, image, sample.caption, quality))
        files.write(str(out / f"{stem}.tacit"), data, force=True)
        decoded, decode_seconds = _timed(partial(codec.decode, out / f"{stem}.tacit"))
        _write_png(out / f"{stem}.tacit.png", decoded)
        own = CodecFile(
            codec="tacit",
            file=f"{stem}.tacit",
            image=f"{stem}.tacit.png",
            size=len(data),
            bpp=8 * len(data) / (image.width * image.height),
            psnr=_psnr(decoded, image),
            setting=f"quality {quality:g}",
            encode_seconds=encode_seconds,
            decode_seconds=decode_seconds,
        )
        others = [_baseline_file(b, image, len(data), stem, out, encoded) for b in BASELINES.values()]
        rows.append(EqualSizeFiles(quality, (own, *others)))
    return ImageComparison(sample, image.width, image.height, tuple(rows))


def _baseline_file(
    codec: PillowCodec, image: Image.Image, limit: int, stem: str, out: Path, encoded: Encoded
) -> CodecFile:
    """Write another codec's best file of at most `limit` bytes, or its smallest one where none fits."""

    def encode(quality: float) -> bytes:
        if (codec.title, quality) not in encoded:
            encoded[codec.title, quality] = _timed(partial(codec.encode_image, image, quality))
        return encoded[codec.title, quality][0]

    quality, data = largest_file(codec, encode, limit)
    _, encode_seconds = encoded[codec.title, quality]
    name = f"{stem}.{codec.suffix}"
    files.write(str(out / name), data, force=True)
    decoded, decode_seconds = _timed(lambda: decode_image((out / name).read_bytes()))
    return CodecFile(
        codec=codec.title,
        file=name,
        image=name,
        size=len(data),
        bpp=8 * len(data) / (image.width * image.height),
        psnr=_psnr(decoded, image),
        setting=f"quality {quality:g}",
        encode_seconds=encode_seconds,
        decode_seconds=decode_seconds,
        too_large=len(data) > limit,
    )


def _write_png(path: Path, image: Image.Image) -> None:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    files.write(str(path), stream.getvalue(), force=True)


def _psnr(image: Image.Image, original: Image.Image) -> float:
    return psnr(np.asarray(image.convert("RGB")), np.asarray(original))


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
