"""Video encoders as codecs of single images, by the ffmpeg that the package `imageio-ffmpeg` brings.

Both encoders take 10-bit 4:2:0 alone. RGB becomes BT.709 over the full range and back, by zimg with the filter spline36
for chroma, on both sides the same. The file is the encoder's raw bitstream of one frame, without a container: VVC's
byte stream, or AV1's open bitstream units. Since 4:2:0 has even sizes only, an odd size is filled up by repeating the
last row or column, and one byte ahead of the bitstream says so; an even size has no such byte.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tacit.errors import InvalidInput
from tacit.evaluation.codecs.program import ProgramCodec
from tacit.evaluation.codecs.protocol import CaptionSource, Pixels, Quality
from tacit.evaluation.cost import Cost

_TO_YUV = "format=gbrp,zscale=matrix=709:range=full:filter=spline36:dither=none,format=yuv420p10le"
_TO_RGB = "zscale=matrixin=709:rangein=full:matrix=gbr:filter=spline36:dither=none,format=gbrp"
_MAX_QUANTIZER = 63
# The first byte of a file of odd size: 1 for the height, 2 for the width. A bitstream begins with 0 (VVC) or 18 (AV1).
_ODD_HEIGHT, _ODD_WIDTH = 1, 2
_VERSION = re.compile(r"(?:libvvenc version: |SVT \[version\]:\s*)(.+)")


@dataclass(frozen=True, kw_only=True)
class FfmpegCodec:
    """A video encoder of ffmpeg that encodes an image as one frame, in one thread."""

    name: str
    """The codec's name in results."""
    encoder: str
    """The encoder's name in ffmpeg."""
    options: Mapping[str, str]
    """The encoder's options besides the quantizer."""
    muxer: str
    """ffmpeg's name of the raw bitstream."""
    suffix: str
    """The suffix of its files, without the dot."""
    qualities: tuple[Quality, ...]
    """The quantizers that are measured by default, by rising rate: they fall from 63 to 0."""
    tune: str
    """What the encoder optimises."""
    step: float = 1
    captions: CaptionSource = "none"
    is_own: bool = False
    held_memory: int = 0

    def missing(self) -> str | None:
        """Return what has to be installed before the codec can be used, or None."""
        program = _program()
        if program is None:
            return f"{self.name} needs ffmpeg by the package imageio-ffmpeg: pip install 'tacit[anchors]'"
        if _encoder_version(program, self.encoder) is None:
            return f"{self.name}: the ffmpeg of imageio-ffmpeg was built without {self.encoder}: {program}"
        return None

    def settings(self) -> Mapping[str, Any]:
        """Return the options and versions that the files depend on."""
        program = _program()
        return {
            "encoder": self.encoder,
            "options": dict(self.options),
            "quality": "quantizer",
            "tune": self.tune,
            "pixels": "10-bit 4:2:0, BT.709, full range",
            "container": "none",
            "to_yuv": _TO_YUV,
            "to_rgb": _TO_RGB,
            "library": program and _encoder_version(program, self.encoder),
            "ffmpeg": program and _ffmpeg_version(program),
        }

    def check(self, quality: Quality) -> Quality:
        """Return the quantizer.

        Raises:
            InvalidInput: It is not a whole number from 0 to 63.
        """
        if isinstance(quality, str) or quality != int(quality) or not 0 <= quality <= _MAX_QUANTIZER:
            raise InvalidInput(f"{self.name}: quality must be a whole number from 0 to {_MAX_QUANTIZER}, got {quality}")
        return quality

    def encode(self, pixels: Pixels, caption: str | None, quality: Quality, target: Path, threads: int) -> Cost:
        """Encode an image [H, W, 3] into a file, in one thread: the file might depend on more.

        Raises:
            InvalidInput: ffmpeg fails, or writes no file.
        """
        height, width, _ = pixels.shape
        odd = _ODD_HEIGHT * (height % 2) + _ODD_WIDTH * (width % 2)
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        with tempfile.TemporaryDirectory(prefix="tacit-eval-") as folder:
            stream = Path(folder) / f"frame.{self.suffix}"
            cost = self._codec().encode(even, None, quality, stream, 1)
            target.write_bytes((bytes([odd]) if odd else b"") + stream.read_bytes())
        return cost

    def decode(self, source: Path, quality: Quality, threads: int) -> tuple[Pixels, Cost]:
        """Decode a file to [H, W, 3] uint8.

        Raises:
            InvalidInput: ffmpeg fails, or writes no image.
        """
        data = source.read_bytes()
        odd = data[0] if data[:1] and data[0] in range(1, 4) else 0
        with tempfile.TemporaryDirectory(prefix="tacit-eval-") as folder:
            stream = Path(folder) / f"frame.{self.suffix}"
            stream.write_bytes(data[1:] if odd else data)
            even, cost = self._codec().decode(stream, quality, threads)
        height, width, _ = even.shape
        return even[: height - bool(odd & _ODD_HEIGHT), : width - bool(odd & _ODD_WIDTH)], cost

    def decode_unclamped(self, source: Path, quality: Quality, threads: int) -> None:
        """Return None: ffmpeg decodes to 8 bits here."""

    def _codec(self) -> ProgramCodec:
        """Return the codec of even sizes by its commands."""
        # Commands are templates, in which a brace of a path would be a field.
        program = shlex.quote(_program() or "ffmpeg").replace("{", "{{").replace("}", "}}")
        start = f"{program} -nostdin -y -v error"
        options = " ".join(f"-{name} {value}" for name, value in self.options.items())
        encode = f"-c:v {self.encoder} {options} -qp {{quality}} -threads 1 -f {self.muxer}"
        decode = f"-threads {{threads}} -f {self.muxer}"
        return ProgramCodec(
            name=self.name,
            suffix=self.suffix,
            qualities=self.qualities,
            encode_commands=(f"{start} -i file:{{input}} -vf {_TO_YUV} -frames:v 1 {encode} file:{{file}}",),
            decode_commands=(f"{start} {decode} -i file:{{file}} -vf {_TO_RGB} -frames:v 1 -update 1 file:{{output}}",),
        )


@lru_cache(maxsize=1)
def _program() -> str | None:
    """Return the path of imageio-ffmpeg's own ffmpeg, or None where the package is missing or has none."""
    try:
        package = importlib.import_module("imageio_ffmpeg")
        return str(package.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


@lru_cache(maxsize=4)
def _ffmpeg_version(program: str) -> str:
    words = _output([program, "-version"]).split(maxsplit=3)
    return f"{words[2]}, imageio-ffmpeg {importlib.metadata.version('imageio-ffmpeg')}"


@lru_cache(maxsize=8)
def _encoder_version(program: str, encoder: str) -> str | None:
    """Return the version that an encoder tells while it encodes a tiny frame, or None where there is none."""
    source = ["-f", "lavfi", "-i", "color=gray:s=64x64", "-frames:v", "1", "-pix_fmt", "yuv420p10le"]
    said = _output([program, "-nostdin", "-v", "verbose", *source, "-c:v", encoder, "-f", "null", "-"])
    found = _VERSION.search(said)
    return None if found is None else f"{encoder} {found[1].strip()}"


def _output(command: list[str]) -> str:
    """Return what a program prints, or nothing where it cannot be run."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


# Both have five points, since each takes long. VVenC's perceptual adaptation of the quantizer (qpa) is off, and so is
# all that only a video needs: lists of references, the model of a buffer, and marks between frames.
VVENC = FfmpegCodec(
    name="vvenc",
    encoder="libvvenc",
    options={
        "preset": "slower",
        "qpa": "0",
        "vvenc-params": "gopsize=1:intraperiod=1:hrdparameterspresent=0:accessunitdelimiter=0",
    },
    muxer="vvc",
    suffix="vvc",
    qualities=(46, 40, 34, 28, 23),
    tune="psnr",
)
SVT_AV1 = FfmpegCodec(
    name="svt-av1",
    encoder="libsvtav1",
    options={"preset": "-1", "svtav1-params": "avif=1:tune=1:lp=1"},
    muxer="obu",
    suffix="obu",
    qualities=(58, 50, 42, 33, 24),
    tune="psnr",
)
