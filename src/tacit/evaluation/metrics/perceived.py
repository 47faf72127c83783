"""Models of what eyes see, as the authors of JPEG XL made them."""

from __future__ import annotations

import importlib
import io
from importlib import metadata
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image

from tacit.errors import MissingExtra
from tacit.evaluation.metrics.metric import Described


class Ssimulacra2(Described):
    """100 is equality, 90 can hardly be told from it, 70 is high quality, 50 medium, 30 low."""

    level: ClassVar[Literal["image"]] = "image"
    name = "ssimulacra2"
    higher_is_better = True
    smallest = 8  # the least of its scales

    def __init__(self) -> None:
        try:
            self._library: Any = importlib.import_module("ssimulacra2")
        except ImportError as error:
            raise MissingExtra("ssimulacra2 needs the package ssimulacra2: pip install 'tacit[eval]'") from error
        self.protocol = f"SSIMULACRA 2.1 by the package ssimulacra2 {metadata.version('ssimulacra2')}"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """At most 100; below 0 for very strong distortion."""
        self.check(reference, decoded)
        return float(self._library.compute_ssimulacra2(_file(reference), _file(decoded)))


def _file(image: np.ndarray) -> io.BytesIO:
    """An uncompressed file: the library reads files only."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PPM")
    stream.seek(0)
    return stream
