"""ICC profiles: the colours of an image as sRGB, so that they need no profile."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace

import numpy as np
from PIL import Image, ImageCms

from tacit.image.colours import ColourSpace
from tacit.image.messages import ConversionWarning, one_line, warn
from tacit.image.raster import Raster

_SAME = 4  # levels by which two descriptions of the same colours may differ


def as_srgb(image: Image.Image) -> Image.Image:
    """Return an image of mode L, LA, RGB or RGBA with its colours as sRGB, by its ICC profile, and without the profile.

    Grey stays grey. An image without a profile, or with one that is sRGB but for rounding, keeps its pixels. A profile
    that cannot be used is dropped with a `ConversionWarning`.
    """
    profile = image.info.get("icc_profile")
    plain = image.copy()
    plain.info.pop("icc_profile", None)
    if not profile:
        return plain
    grey = image.mode.startswith("L")
    mode = "L" if grey else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        probe = _probe(grey)
        turned = np.asarray(transform.apply(probe)).astype(int)
    except (ImageCms.PyCMSError, OSError, ImportError) as error:  # ImportError: a Pillow built without LittleCMS
        warn(f"the ICC profile cannot be used and is dropped ({one_line(error)})")
        return plain
    if np.abs(turned - np.asarray(probe.convert("RGB")).astype(int)).max() <= 1:
        return plain
    if grey:
        levels = turned[0, :, 1].tolist()  # green: a grey of the profile may come out with a trace of a hue
        colours = image.getchannel(0).point(levels)
    else:
        colours = transform.apply(image.convert("RGB"))
    if "A" in image.mode:
        colours.putalpha(image.getchannel("A"))
    colours.info = plain.info
    return colours


def raster_as_srgb(raster: Raster) -> Raster:
    """Return a raster with its colours as sRGB, by its ICC profile, and without the profile; see `as_srgb`."""
    if raster.metadata.icc is None:
        return raster
    grey = raster.pixels.shape[2] == 1
    image = Image.fromarray(raster.pixels[..., 0] if grey else raster.pixels)
    image.info["icc_profile"] = raster.metadata.icc
    pixels = np.asarray(as_srgb(image)).reshape(raster.pixels.shape)
    return replace(raster, pixels=pixels, metadata=replace(raster.metadata, icc=None))


def profile_says(profile: bytes, space: ColourSpace) -> bool:
    """Return whether an ICC profile means the same colours as a colour space, but for rounding."""
    grey = profile[16:20] == b"GRAY"
    probe = _probe(grey)
    probe.info["icc_profile"] = profile
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        by_profile = np.asarray(as_srgb(probe)).astype(int)
    by_space = space.levels(np.asarray(probe).reshape(*by_profile.shape[:2], -1)).reshape(by_profile.shape)
    return int(np.abs(by_profile - by_space).max()) <= _SAME


def _probe(grey: bool) -> Image.Image:
    """Return an image of all grey levels, or of colours from everywhere in the cube."""
    if grey:
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1)
    return Image.fromarray(cube.reshape(18 * 18, 18, 3))
