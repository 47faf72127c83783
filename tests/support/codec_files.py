"""Helpers of tests that write and read `.tacit` files: metadata, sizes of several regions, files with other parts."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from PIL import Image, ImageCms

from tacit import container

Picture = Callable[..., Image.Image]


MAKE, ORIENTATION = 0x010F, 0x0112


def exif(tag: int, value: object) -> bytes:
    """EXIF of one tag, as Pillow's `info` has it."""
    tags = Image.Exif()
    tags[tag] = value
    return tags.tobytes()


SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


WIDE = (1100, 70)  # two regions; decoded in tiles that end elsewhere


THREE = (2100, 40)  # three regions of 704, 704 and 692 columns


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


EXIF = exif(MAKE, "Maker")


ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.int16)


def psnr(a: Image.Image, b: Image.Image) -> float:
    error = np.square(levels(a).astype(np.float64) - levels(b)).mean()
    return float(10 * np.log10(255**2 / error))


def chunk(kind: bytes, payload: bytes) -> bytes:
    """One of less than 128 bytes, framed."""
    framed = kind + bytes([len(payload)]) + payload
    return framed + zlib.crc32(framed).to_bytes(4, "big")


def rewritten(data: bytes, **changes: Any) -> bytes:
    """The same file with other parts, its checksums right."""
    file = container.read(data)
    parts: dict[str, Any] = {
        "header": file.header, "metadata": file.metadata, "alpha": file.alpha, "regions": file.regions,
    } | changes  # fmt: skip
    return container.write(parts["header"], parts["metadata"], parts["alpha"], parts["regions"])
