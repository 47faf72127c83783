"""Helpers of the tests of reading `.tacit` files for training."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from tacit.data.datasets import Coded


def coded_file(name: str, data: Any, *captions: str, seed: int = 0) -> Coded:
    """Return a `.tacit` file as data sets give it."""
    return Coded(name=name, data=data, captions=captions, seed=(seed,))


def pixels(image: Image.Image) -> np.ndarray:
    """Return the pixels of an image [3, H, W]."""
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
