"""Images in and out: whatever a user has, as the arrays that the codec works on, and back.

`load` takes a Pillow image, a NumPy array, a tensor, a path, bytes or a file object and gives a `Raster`: upright 8-bit
RGB or grey pixels, alpha apart, and the metadata that a `.tacit` file keeps. `to_pil` is the way back. A conversion
that loses something warns with a `ConversionWarning`.

Pixels are copied in strips of rows, straight to where they belong in the upright image, so that an image of 100
megapixels is in memory twice (Pillow's copy and ours) and never more.

Names are loaded when they are first used: what decodes needs none of the modules that read images.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tacit.image.alpha import decode_alpha, encode_alpha
    from tacit.image.caption import caption_from_metadata
    from tacit.image.exif import EXIF_PREFIX
    from tacit.image.export import to_pil
    from tacit.image.icc import raster_as_srgb
    from tacit.image.messages import ConversionWarning
    from tacit.image.metadata import pil_info, without_thumbnails
    from tacit.image.raster import Pixels, Raster
    from tacit.image.reading import ImageSource, from_array, from_pil, load
    from tacit.image.suffixes import readable_suffixes

_HOMES = {
    "ConversionWarning": "messages",
    "EXIF_PREFIX": "exif",
    "ImageSource": "reading",
    "Pixels": "raster",
    "Raster": "raster",
    "caption_from_metadata": "caption",
    "decode_alpha": "alpha",
    "encode_alpha": "alpha",
    "from_array": "reading",
    "from_pil": "reading",
    "load": "reading",
    "pil_info": "metadata",
    "raster_as_srgb": "icc",
    "readable_suffixes": "suffixes",
    "to_pil": "export",
    "without_thumbnails": "metadata",
}

__all__ = [
    "EXIF_PREFIX",
    "ConversionWarning",
    "ImageSource",
    "Pixels",
    "Raster",
    "caption_from_metadata",
    "decode_alpha",
    "encode_alpha",
    "from_array",
    "from_pil",
    "load",
    "pil_info",
    "raster_as_srgb",
    "readable_suffixes",
    "to_pil",
    "without_thumbnails",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tacit.image' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"tacit.image.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
