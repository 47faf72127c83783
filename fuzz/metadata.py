"""The metadata of images: EXIF, XMP and ICC profiles as a file may have them, without the file around them."""

from __future__ import annotations

import warnings
from functools import cache

from PIL import Image

from tacit import image as images
from tacit.errors import InvalidInput
from tacit.image.export import to_bytes

KEYS = (("exif",), ("xmp",), ("exif", "xmp"), ("icc_profile",), ("exif", "icc_profile"), ("comment", "xmp"))
"""What of Pillow's `info` the input is; the first byte of an input chooses."""
SUFFIXES = ("tif", "tif", "jpg", "png", "webp")


@cache
def _image() -> Image.Image:
    return Image.linear_gradient("L").resize((8, 4)).convert("RGB")


def check(data: bytes) -> None:
    """Take an image with this metadata, and write what is kept in a format that the second byte chooses."""
    if len(data) < 2:
        return
    keys = KEYS[data[0] % len(KEYS)]
    half = len(data) // 2 if len(keys) > 1 else len(data)
    info = dict(zip(keys, (data[2:half], data[half:]), strict=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            raster = images.from_pil(_image(), info=info)
        except InvalidInput:
            return
        images.without_thumbnails(raster.metadata)
        if raster.metadata.icc is None:
            same = images.from_pil(_image(), info=images.pil_info(raster.metadata))
            assert (same.pixels == images.from_pil(_image()).pixels).all(), "colours would be converted once more"
        if data[1] < 64:
            suffix = SUFFIXES[data[1] % len(SUFFIXES)]
            again = images.load(to_bytes(images.to_pil(raster), suffix))
            assert again.pixels.shape[:2] == raster.pixels.shape[:2], f"another size as {suffix}"
