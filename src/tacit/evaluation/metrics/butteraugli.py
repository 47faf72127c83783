"""Butteraugli, a model of visible differences by the authors of JPEG XL."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np

from tacit.errors import InvalidInput, MissingExtra
from tacit.evaluation.metrics.metric import ImageMetricBase
from tacit.image.ppm import ppm_file


class Butteraugli(ImageMetricBase):
    """Butteraugli by libjxl's `butteraugli_main`, which is in Debian's package libjxl-devtools.

    0 means equal images; at about 1 a difference becomes visible when two images are flipped.

    Args:
        norm: How the differences over the image are combined: their maximum, or their 3-norm.
        program: The program's name or path.
    """

    smallest = 8  # the program finds no difference between images smaller than this

    def __init__(self, *, norm: Literal["max", "3"] = "max", program: str = "butteraugli_main") -> None:
        if norm not in ("max", "3"):
            raise InvalidInput(f"norm must be max or 3, got {norm!r}")
        path = shutil.which(program)
        if path is None:
            raise MissingExtra(
                f"Butteraugli needs libjxl's program {program}: install libjxl-devtools (Debian, Ubuntu), or build "
                "libjxl with its developers' tools"
            )
        self.name = "butteraugli" if norm == "max" else "butteraugli-3norm"
        self._norm, self._program = norm, path
        combined = "the largest difference" if norm == "max" else "3-norm"
        self.protocol = f"{combined} over the image, screen of 80 nits, by butteraugli_main of libjxl{_version(path)}"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """Return the distance, 0 for equal images.

        Raises:
            InvalidInput: The images do not fit together, or the program fails.
        """
        self.check(reference, decoded)
        with tempfile.TemporaryDirectory(prefix="tacit-") as folder:
            paths = [Path(folder) / name for name in ("reference.ppm", "decoded.ppm")]
            for path, image in zip(paths, (reference, decoded), strict=True):
                path.write_bytes(ppm_file(image).getbuffer())
            command = [self._program, *map(str, paths), "--intensity_target", "80"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        values = re.search(r"^(\S+)\s+3-norm: (\S+)", done.stdout, re.MULTILINE)
        if done.returncode or values is None:
            output = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise InvalidInput(f"{self.name}: butteraugli_main failed: {output[-1] if output else done.returncode}")
        return float(values[1 if self._norm == "max" else 2])


def _version(program: str) -> str:
    """Return libjxl's version with a space before it, or an empty text where it is not known.

    The program itself does not print it, so the encoder beside it is asked.
    """
    encoder = Path(program).with_name("cjxl")
    if not encoder.is_file():
        return ""
    try:
        done = subprocess.run([encoder, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    version = re.search(r"v\d+(?:\.\d+)+", done.stdout)
    return f" {version[0]}" if version else ""
