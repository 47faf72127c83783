"""Export: a raster as a Pillow image, and an image as a file of a usual format."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tacit.errors import InvalidInput
from tacit.image.messages import warn
from tacit.image.metadata import pil_info
from tacit.image.raster import Raster

# A decoded image has been through one lossy codec already; none of these options adds loss that is seen.
FORMATS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "png": ("PNG", {}),
        "jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
        "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
        "webp": ("WEBP", {"lossless": True}),
        "avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
        "tif": ("TIFF", {"compression": "tiff_deflate"}),
        "tiff": ("TIFF", {"compression": "tiff_deflate"}),
        "bmp": ("BMP", {}),
        "ppm": ("PPM", {}),
    }
)
"""Pillow's name of each format and its options, by suffix."""


def to_pil(raster: Raster) -> Image.Image:
    """Return a raster as a Pillow image of mode L, LA, RGB or RGBA.

    Metadata is in `info` as Pillow's own plugins leave it: `icc_profile`, `exif`, `xmp`; and `caption`.
    """
    grey = raster.pixels.shape[2] == 1
    image = Image.fromarray(raster.pixels[..., 0] if grey else raster.pixels)
    if raster.alpha is not None:
        image.putalpha(Image.fromarray(raster.alpha))
    image.info.update(pil_info(raster.metadata))
    return image


def to_bytes(image: Image.Image, suffix: str) -> bytes:
    """Return the bytes of a file, with the image's ICC profile, EXIF and XMP where the format holds them.

    Where the format has no transparency, the image is put on white, with a `ConversionWarning`.

    Args:
        image: The image.
        suffix: The suffix of the format, a key of `FORMATS`.

    Raises:
        InvalidInput: The format cannot hold the image or its metadata.
    """
    name, options = FORMATS[suffix]
    options = {**options, **{key: image.info[key] for key in ("icc_profile", "exif") if image.info.get(key)}}
    if xmp := image.info.get("xmp"):
        if name == "PNG":
            options["pnginfo"] = PngInfo()
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        elif name in ("JPEG", "WEBP", "AVIF"):
            options["xmp"] = xmp
    if name in ("JPEG", "BMP", "PPM") and image.mode in ("LA", "RGBA"):
        warn(f"{name} has no transparency: the image is put on white")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white.convert("L" if image.mode == "LA" else "RGB")
    stream = io.BytesIO()
    try:
        image.save(stream, name, **options)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(f"cannot be saved as {name}: {error}") from error
    return stream.getvalue()
