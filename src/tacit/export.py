"""A decoded image as bytes of a usual format, with its ICC profile, EXIF and XMP where the format holds them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tacit.errors import InvalidInput
from tacit.image import ConversionWarning

# A decoded photograph has been through one lossy codec already; none of these adds loss that is seen.
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
"""By suffix: Pillow's name of the format, and its options."""


def to_bytes(image: Image.Image, suffix: str) -> bytes:
    """`image` in the format of `suffix`, a key of FORMATS.

    Transparency is put on white, with a ConversionWarning, where the format has none.

    Raises: InvalidInput, where the format cannot hold the image or its metadata.
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
        warnings.warn(f"{name} has no transparency: put on white", ConversionWarning, stacklevel=2)
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white.convert("L" if image.mode == "LA" else "RGB")
    stream = io.BytesIO()
    try:
        image.save(stream, name, **options)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(f"cannot be saved as {name}: {error}") from error
    return stream.getvalue()
