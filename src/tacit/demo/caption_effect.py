"""What a caption changes: two files of one image and one size, without a caption and with one that names a thing."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tacit import files
from tacit.image.psnr import psnr

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from tacit.codec import Codec
    from tacit.demo.samples import SampleImage

BPP = 0.1
"""The size of both files in bits per pixel: low, where there is little to give away."""


@dataclass(frozen=True)
class CaptionedFile:
    """One of the two files."""

    file: str
    """The file's path below the output folder."""
    image: str
    """The path of the decoded PNG."""
    size: int
    """The file's size in bytes."""
    detail_psnr: float
    """PSNR of the sample's detail in dB."""


@dataclass(frozen=True)
class CaptionEffect:
    """Both files of one image."""

    sample: SampleImage
    width: int
    """The image's width in pixels."""
    plain: CaptionedFile
    """The file without a caption."""
    named: CaptionedFile
    """The file whose caption names the sample's phrase."""


def caption_effect(codec: Codec, sample: SampleImage, image: Image.Image, out: Path) -> CaptionEffect:
    """Encode an image twice at one size, without a caption and with its phrase, into its folder below `out`.

    Raises:
        PathError: A file cannot be written.
    """
    left, top, width = sample.detail
    box = (left, top, left + width, top + width)
    original = np.asarray(image.crop(box))

    def encoded(name: str, caption: str | None) -> CaptionedFile:
        data = codec.encode(image, caption, bpp=BPP)
        decoded = codec.decode(data)
        stream = io.BytesIO()
        decoded.save(stream, "PNG")
        file = f"{sample.name}/{name}.tacit"
        files.write(str(out / file), data, force=True)
        files.write(str(out / f"{file}.png"), stream.getvalue(), force=True)
        detail = psnr(np.asarray(decoded.convert("RGB").crop(box)), original)
        return CaptionedFile(file, f"{file}.png", len(data), detail)

    return CaptionEffect(sample, image.width, encoded("no-caption", None), encoded("caption", sample.phrase))
