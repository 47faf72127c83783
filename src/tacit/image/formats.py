"""The formats that images are written in."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# A decoded image has been through one lossy codec already; none of these options adds loss that is seen. In PNG nearly
# all that photographs' differences give comes from their frequencies: the search for repetitions takes four times as
# long, and saves 1 or 2 %.
FORMATS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "png": ("PNG", {"compress_type": zlib.Z_RLE}),
        "jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
        "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
        "webp": ("WEBP", {"lossless": True}),
        "avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
        "tif": ("TIFF", {"compression": "tiff_deflate"}),
        "tiff": ("TIFF", {"compression": "tiff_deflate"}),
        "bmp": ("BMP", {}),
        "ppm": ("PPM", {}),
    }
)
"""Pillow's name of each format and its options, by suffix."""
