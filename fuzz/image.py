"""The image loader: whole files as Pillow reads them, and the way back to files."""

from __future__ import annotations

import warnings
from unittest import mock

from PIL import Image

from tacit import image as images
from tacit.errors import InvalidInput, PathError
from tacit.image.export import to_bytes

SUFFIXES = ("png", "jpg", "tif", "webp")
MAX_PIXELS = 1 << 18  # of the largest images that are allowed, each would take seconds and a gigabyte


def check(data: bytes) -> None:
    """Load an image; what was loaded must be written, with the metadata that was kept, and loaded again."""
    with warnings.catch_warnings(), mock.patch.object(Image, "MAX_IMAGE_PIXELS", MAX_PIXELS):
        warnings.simplefilter("ignore")
        try:
            raster = images.load(data)
        except (InvalidInput, PathError):
            return
        if raster.pixels.size > 1 << 16:
            return
        suffix = SUFFIXES[len(data) % len(SUFFIXES)]
        again = images.load(to_bytes(images.to_pil(raster), suffix))
        assert again.pixels.shape[:2] == raster.pixels.shape[:2], f"another size as {suffix}"
