"""Compress sample images with tacit and with JPEG, WebP and AVIF at the same sizes, into files that a page can show.

Everything is measured on files: `.tacit` files are written, read back and decoded, and so are the other codecs' files.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
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
Encoded = dict[float, tuple[bytes, float]]  # files of a codec and seconds that they took, by quality


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
    quality: float
    """The codec's quality that the file was encoded with."""
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


def tacit_files(
    codec: Codec, sample: SampleImage, image: Image.Image, qualities: Sequence[float], out: Path
) -> list[CodecFile]:
    """Compress one image with tacit, into a folder of its own below `out`, and return the files by rising quality.

    Args:
        codec: Encodes and decodes the files.
        sample: The image's name and caption.
        image: The image, RGB.
        qualities: The qualities of the files, 0 to 100.
        out: The folder to write to.

    Raises:
        PathError: A file cannot be written.
    """
    _write_png(out / sample.name / "original.png", image)
    made = []
    for quality in sorted(qualities):
        name = f"{sample.name}/q{quality:g}.tacit"
        data, encode_seconds = _timed(partial(codec.encode, image, sample.caption, quality))
        files.write(str(out / name), data, force=True)
        decoded, decode_seconds = _timed(partial(codec.decode, out / name))
        _write_png(out / f"{name}.png", decoded)
        made.append(
            CodecFile(
                codec="tacit",
                file=name,
                image=f"{name}.png",
                size=len(data),
                bpp=8 * len(data) / (image.width * image.height),
                psnr=_psnr(decoded, image),
                quality=quality,
                encode_seconds=encode_seconds,
                decode_seconds=decode_seconds,
            )
        )
    return made


def compare(sample: SampleImage, image: Image.Image, own: Sequence[CodecFile], out: Path) -> ImageComparison:
    """Compress one image with the other codecs to the sizes of its `.tacit` files, beside these.

    Several images can be compared at the same time, in threads.

    Args:
        sample: The image's name and caption.
        image: The image, RGB.
        own: The image's `.tacit` files.
        out: The folder that they are in.

    Raises:
        PathError: A file cannot be written.
    """
    tried: dict[str, Encoded] = {title: {} for title in BASELINES}
    others = {}
    # The largest size first: it is the easiest to guess, and the other searches know what was tried for it.
    for file in sorted(own, key=lambda file: -file.size):
        others[file.quality] = [
            _baseline_file(codec, image, file, out, tried[codec.title]) for codec in BASELINES.values()
        ]
    rows = tuple(EqualSizeFiles(file.quality, (file, *others[file.quality])) for file in own)
    return ImageComparison(sample, image.width, image.height, rows)


def _baseline_file(codec: PillowCodec, image: Image.Image, own: CodecFile, out: Path, encoded: Encoded) -> CodecFile:
    """Write another codec's best file of at most the size of tacit's, or its smallest one where none fits.

    Args:
        codec: The other codec.
        image: The image, RGB.
        own: Tacit's file.
        out: The folder to write to.
        encoded: What was tried already; what this tries is added.
    """

    def encode(quality: float) -> bytes:
        encoded[quality] = _timed(partial(codec.encode_image, image, quality))
        return encoded[quality][0]

    pixels = image.width * image.height
    known = {quality: data for quality, (data, _) in encoded.items()}
    quality, data = largest_file(codec, encode, own.size, pixels=pixels, known=known)
    name = str(PurePosixPath(own.file).with_suffix(f".{codec.suffix}"))
    files.write(str(out / name), data, force=True)
    decoded, decode_seconds = _timed(lambda: decode_image((out / name).read_bytes()))
    return CodecFile(
        codec=codec.title,
        file=name,
        image=name,
        size=len(data),
        bpp=8 * len(data) / pixels,
        psnr=_psnr(decoded, image),
        quality=quality,
        encode_seconds=encoded[quality][1],
        decode_seconds=decode_seconds,
        too_large=len(data) > own.size,
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
