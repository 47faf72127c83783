"""The formats that Pillow writes: JPEG, WebP, AVIF, JPEG 2000 and, with plugins, JPEG XL and HEIC."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from PIL import features

from tacit.evaluation.codecs.pillow import PillowCodec


@dataclass(frozen=True)
class _FeatureVersion:
    """The version of a library that Pillow was built with; an object, since a lambda cannot go to other processes."""

    name: str

    def __call__(self) -> str | None:
        return features.version(self.name)


def _jxl_version() -> str | None:
    try:
        return importlib.metadata.version("pillow-jxl-plugin")
    except importlib.metadata.PackageNotFoundError:
        return None


def _avif_version() -> str | None:
    """Return the versions of libavif and of the codecs behind it, or None where Pillow was built without it."""
    version = features.version("avif")
    return version and f"{version} ({importlib.import_module('PIL._avif').codec_versions()})"


def _avif_tune() -> str:
    """Return what libaom optimises by default.

    From version 1.4 on, libavif asks it for `iq`, which follows SSIMULACRA 2 and loses PSNR, where it was `ssim`.
    """
    major, minor = (features.version("avif") or "0.0").split(".")[:2]
    return "iq, the default" if (int(major), int(minor)) >= (1, 4) else "ssim, the default"


def _psnr_tune() -> str:
    return "psnr"


def _heif_version() -> str | None:
    """Return the versions of pillow-heif, libheif and x265, or None where the plugin is missing or lacks x265."""
    try:
        plugin = importlib.import_module("pillow_heif")
    except ImportError:
        return None
    info = plugin.libheif_info()
    return f"pillow-heif {plugin.__version__}, libheif {info['libheif']}, {info['HEIF']}" if info["HEIF"] else None


# Where options do not name chroma subsampling, it is Pillow's own choice: 4:2:0 in JPEG, WebP and AVIF.
JPEG = PillowCodec(
    name="jpeg",
    title="JPEG",
    format="JPEG",
    suffix="jpg",
    options={"optimize": True, "progressive": True},
    qualities=(5, 10, 18, 30, 45, 62, 80, 92),
    lowest=1,
    highest=95,
    library=_FeatureVersion("jpg"),
)
WEBP = PillowCodec(
    name="webp",
    title="WebP",
    format="WEBP",
    suffix="webp",
    options={"method": 6},
    qualities=(0, 8, 20, 38, 55, 72, 84, 94),
    highest=100,
    library=_FeatureVersion("webp"),
    step=0.1,
)
# AVIF's files depend on tiles and threads.
_ONE_TILE = {"autotiling": False, "max_threads": 1}
AVIF = PillowCodec(
    name="avif",
    title="AVIF",
    format="AVIF",
    suffix="avif",
    options={"speed": 4},
    fixed_options=_ONE_TILE,
    qualities=(8, 20, 32, 44, 56, 68, 78, 88),
    highest=100,
    library=_avif_version,
    tune=_avif_tune,
)
# Without subsampling, as is best by PSNR but for the lowest rates.
AVIF_PSNR = dataclasses.replace(
    AVIF,
    name="avif-psnr",
    title="AVIF tuned for PSNR",
    options={"speed": 4, "subsampling": "4:4:4", "advanced": {"tune": "psnr"}},
    tune=_psnr_tune,
)
AVIF_SLOW = dataclasses.replace(
    AVIF, name="avif-slow", title="AVIF, slowest", options={"speed": 0, "subsampling": "4:4:4"}
)
AVIF_SLOW_PSNR = dataclasses.replace(
    AVIF_PSNR,
    name="avif-slow-psnr",
    title="AVIF, slowest, tuned for PSNR",
    options={**AVIF_PSNR.options, "speed": 0},
)
JPEG_2000 = PillowCodec(
    name="jp2",
    title="JPEG 2000",
    format="JPEG2000",
    suffix="jp2",
    options={"irreversible": True, "mct": 1},
    qualities=(24.0, 26.0, 28.0, 30.0, 32.0, 34.5, 37.0, 40.0),
    highest=100,
    library=_FeatureVersion("jpg_2000"),
    parameter="dB",
    step=0.1,
)
JPEG_XL = PillowCodec(
    name="jxl",
    title="JPEG XL",
    format="JXL",
    suffix="jxl",
    options={"effort": 7},
    qualities=(5, 12, 22, 35, 50, 65, 80, 90),
    highest=99,
    library=_jxl_version,
    plugin="pillow_jxl",
)
JPEG_XL_SLOW = dataclasses.replace(JPEG_XL, name="jxl-slow", title="JPEG XL, slow", options={"effort": 9})
HEIC = PillowCodec(
    name="heic",
    title="HEIC",
    format="HEIF",
    suffix="heic",
    options={"subsampling": "4:4:4", "enc_params": {"preset": "veryslow", "tune": "psnr"}},
    # x265's files depend on its threads.
    fixed_options={
        "enc_params": {"preset": "veryslow", "tune": "psnr", "x265:pools": "none", "x265:frame-threads": "1"}
    },
    qualities=(5, 14, 24, 34, 44, 54, 63, 72),
    highest=100,
    library=_heif_version,
    plugin="pillow_heif.HeifImagePlugin",
    extra="anchors",
    tune=_psnr_tune,
)

BASELINES: Mapping[str, PillowCodec] = MappingProxyType({codec.title: codec for codec in (JPEG, WEBP, AVIF)})
"""The codecs that come with Pillow itself, by title."""
