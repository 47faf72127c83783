"""Encodings of other codecs, which the page shows beside tacit's."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tacit.evaluation.codecs.pillow import decode_image
from tacit.evaluation.codecs.pillow_formats import BASELINES
from tacit.image.psnr import psnr
from tacit.web.jobs.preview import finite
from tacit.web.jobs.uploads import UploadedImage, load_upload


@dataclass(frozen=True)
class ComparisonFile:
    """Another codec's file of an image."""

    data: bytes
    psnr: float | None  # in dB; None if nothing was lost
    encode_time: float  # milliseconds
    decode_time: float  # milliseconds


def encode_for_comparison(image: UploadedImage, codec: str, quality: float, pixel_limit: int) -> ComparisonFile:
    """Encode an image with one of `BASELINES`, at one quality.

    Raises:
        InvalidInput: This Pillow has no such codec.
    """
    pixels = load_upload(image.data, pixel_limit).pixels
    original = Image.fromarray(pixels)
    start = time.perf_counter()
    data = BASELINES[codec].encode_image(original, quality)
    encoded = time.perf_counter()
    decoded = decode_image(data)
    end = time.perf_counter()
    return ComparisonFile(
        data, finite(psnr(np.asarray(decoded), pixels)), 1000 * (encoded - start), 1000 * (end - encoded)
    )
