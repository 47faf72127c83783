"""Models of what eyes see, as the authors of JPEG XL made them."""

from __future__ import annotations

import importlib
import io
import re
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image

from tacit.errors import InvalidInput, MissingExtra
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


class Butteraugli(Described):
    """0 is equality, 1 about the threshold of seeing a difference when two images are flipped.

    Computed by libjxl's `butteraugli_main`, in Debian's package libjxl-devtools; program: its path, if it is elsewhere.
    """

    level: ClassVar[Literal["image"]] = "image"
    smallest = 8  # below, the program finds no difference in anything

    def __init__(self, *, norm: Literal["max", "3"] = "max", program: str = "butteraugli_main") -> None:
        if norm not in ("max", "3"):
            raise InvalidInput(f"norm {norm!r}; there are max, 3")
        found = shutil.which(program)
        if found is None:
            raise MissingExtra(
                f"Butteraugli needs libjxl's program {program}: install libjxl-devtools (Debian, Ubuntu), or build "
                "libjxl with its developers' tools"
            )
        self.name = "butteraugli" if norm == "max" else "butteraugli-3norm"
        self._norm, self._program = norm, found
        over = "the largest difference" if norm == "max" else "3-norm"
        self.protocol = f"{over} over the image, screen of 80 nits, by butteraugli_main of libjxl{_version(found)}"

    def __call__(self, reference: np.ndarray, decoded: np.ndarray, caption: str | None = None) -> float:
        """0 is equality; lower is nearer.

        Raises:
            InvalidInput: images that do not fit, or the program fails on them.
        """
        self.check(reference, decoded)
        with tempfile.TemporaryDirectory(prefix="tacit-") as folder:
            paths = [Path(folder) / name for name in ("reference.ppm", "decoded.ppm")]
            for path, image in zip(paths, (reference, decoded), strict=True):
                path.write_bytes(_file(image).getbuffer())
            command = [self._program, *map(str, paths), "--intensity_target", "80"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        found = re.search(r"^(\S+)\s+3-norm: (\S+)", done.stdout, re.MULTILINE)
        if done.returncode or found is None:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise InvalidInput(f"{self.name}: butteraugli_main failed: {said[-1] if said else done.returncode}")
        return float(found[1 if self._norm == "max" else 2])


def _version(program: str) -> str:
    """Of libjxl, by the encoder beside the program, which itself does not tell; with a space before, or empty."""
    encoder = Path(program).with_name("cjxl")
    if not encoder.is_file():
        return ""
    try:
        done = subprocess.run([encoder, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"v\d+(?:\.\d+)+", done.stdout)
    return f" {found[0]}" if found else ""


def _file(image: np.ndarray) -> io.BytesIO:
    """An uncompressed file, as these programs read no arrays."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PPM")
    stream.seek(0)
    return stream
