"""jpegli, the JPEG encoder of JPEG XL's authors, by the package `pyjpegli`."""

from __future__ import annotations

import importlib
import importlib.metadata
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tacit.errors import InvalidInput
from tacit.evaluation.codecs.protocol import CaptionSource, Pixels, Quality
from tacit.evaluation.cost import Cost, measure_cost


@dataclass(frozen=True, kw_only=True)
class JpegliCodec:
    """JPEG files that jpegli encodes and Pillow decodes, as any reader would.

    The package offers a quality and nothing else: its files are sequential, with chroma subsampled by 4:2:0.
    """

    name: str = "jpegli"
    suffix: str = "jpg"
    qualities: tuple[Quality, ...] = (5, 10, 20, 32, 46, 62, 78, 90)
    step: float = 1
    captions: CaptionSource = "none"
    is_own: bool = False
    held_memory: int = 0

    def missing(self) -> str | None:
        """Return what has to be installed before the codec can be used, or None."""
        try:
            importlib.import_module("pyjpegli")
        except ImportError:
            return f"{self.name} needs the package pyjpegli: pip install 'tacit[anchors]'"
        return None

    def settings(self) -> Mapping[str, Any]:
        """Return the options and versions that the files depend on."""
        return {
            "format": "JPEG",
            "options": {"sequential": True, "subsampling": "4:2:0"},
            "library": f"pyjpegli {importlib.metadata.version('pyjpegli')}",
            "pillow": importlib.metadata.version("pillow"),
        }

    def check(self, quality: Quality) -> Quality:
        """Return the quality.

        Raises:
            InvalidInput: It is not a whole number from 1 to 100.
        """
        if isinstance(quality, str) or quality != int(quality) or not 1 <= quality <= 100:
            raise InvalidInput(f"{self.name}: quality must be a whole number from 1 to 100, got {quality}")
        return quality

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        """Encode an image [H, W, 3] into a file."""
        library = importlib.import_module("pyjpegli")
        height, width, _ = pixels.shape
        data = np.ascontiguousarray(pixels).data.cast("B")
        return measure_cost(lambda: target.write_bytes(library.encode(data, width, height, int(quality))))[1]

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        """Decode a file to [H, W, 3] uint8."""

        def read() -> Pixels:
            with Image.open(io.BytesIO(source.read_bytes()), formats=["JPEG"]) as image:
                return np.asarray(image.convert("RGB"))

        return measure_cost(read)

    def decode_unclamped(self, source: Path, quality: Quality, threads: int) -> None:
        """Return None: Pillow decodes to 8 bits."""


JPEGLI = JpegliCodec()
