"""Images as PPM files, for programs and libraries that read files only."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def ppm_file(image: np.ndarray) -> io.BytesIO:
    """Return an image [H, W, 3] uint8 as an uncompressed file."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PPM")
    stream.seek(0)
    return stream
