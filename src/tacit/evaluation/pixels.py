"""Images as every codec under measurement gets them."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np


@lru_cache(maxsize=2)
def load_pixels(path: Path) -> np.ndarray:
    """Read an image as [H, W, 3] uint8: upright, grey as three equal channels, without alpha. It is read-only.

    Raises:
        TacitError: The image cannot be read.
    """
    from tacit.image import ConversionWarning, load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        pixels = load(path).pixels
    pixels = pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
    pixels.flags.writeable = False  # it is cached, and must not change for the next caller
    return pixels


def pixel_count(path: Path) -> int:
    """Return the number of an image's pixels by its header, or 0 for a file that is not an image."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.width * image.height
    except (OSError, ValueError, Image.DecompressionBombError):
        return 0
