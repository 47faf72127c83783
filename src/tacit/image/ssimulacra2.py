"""SSIMULACRA 2, a model of visible differences by the authors of JPEG XL."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import InvalidInput
from tacit.extras import require
from tacit.image.ppm import ppm_file

SMALLEST = 8  # pixels a side of the coarsest scale


def ssimulacra2(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    """Return the score of an image: 100 where it equals the reference, below 0 for very strong distortion.

    At 90 a difference is hardly visible; 70 is high quality, 50 medium, and 30 low.

    Args:
        image: uint8 [H, W, 3], or grey [H, W, 1].
        reference: The original, of the same shape.

    Raises:
        InvalidInput: The arrays differ in shape, are no images of 8 bits, or are smaller than 8 pixels a side.
        MissingExtra: The package ssimulacra2 is not installed.
    """
    if image.shape != reference.shape or image.dtype != np.uint8 or reference.dtype != np.uint8 or image.ndim != 3:
        shapes = f"{image.dtype} {list(image.shape)} and {reference.dtype} {list(reference.shape)}"
        raise InvalidInput(f"SSIMULACRA 2 must be of two uint8 images of one shape, got {shapes}")
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST:
        raise InvalidInput(f"SSIMULACRA 2 needs {SMALLEST} pixels a side or more, got {width}x{height}")
    files = [ppm_file(np.broadcast_to(pixels, (height, width, 3))) for pixels in (reference, image)]
    return float(library().compute_ssimulacra2(*files))


def library() -> Any:
    """Return the package that computes the score.

    Raises:
        MissingExtra: It is not installed.
    """
    return require("ssimulacra2", "ssimulacra2", "eval")
