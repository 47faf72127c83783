"""A codec with a fault, apart from the tests: worker processes import it, and need no torch for that."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tacit.errors import MissingExtra
from tacit.evaluation.codecs.protocol import CaptionSource, Quality
from tacit.evaluation.cost import Cost


@dataclass(frozen=True)
class FaultyCodec:
    """A codec with a fault of each kind; sizes rise with quality."""

    name: str = "broken"
    suffix: str = "raw"
    qualities: tuple[Quality, ...] = (1, 2, 3)
    step: float = 1
    captions: CaptionSource = "none"
    is_own: bool = False
    held_memory: int = 0
    fault: str = ""
    at: int = 24  # the width of the image that it fails on

    def missing(self) -> str | None:
        return None

    def settings(self) -> Mapping[str, Any]:
        return {"fault": self.fault}

    def check(self, quality: Quality) -> Quality:
        return quality

    def encode(self, pixels: np.ndarray, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        if self.fault == "extra":
            raise MissingExtra("this codec needs tacit[all]")
        target.write_bytes(b"x" * 100 * int(quality))
        if pixels.shape[1] == self.at:
            if self.fault == "raises":
                raise RuntimeError("no idea\nwhat to do")
            if self.fault == "memory":
                raise MemoryError
            if self.fault == "disk":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.fault == "dies":
                os._exit(9)
        return Cost(0.001, None)

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[np.ndarray, Cost]:
        return np.zeros((20, 24, 3) if self.fault == "shape" else (164, 176, 3), np.uint8), Cost(0.001, None)

    def decode_unclamped(self, source: Path, quality: Quality, threads: int) -> None:
        pass
