"""The image in an upload."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

from PIL import Image, UnidentifiedImageError

from tacit import image as images
from tacit.errors import ImageTooLarge, InvalidInput, TacitError, UnsupportedFile
from tacit.image import Raster
from tacit.image.export import to_bytes
from tacit.image.reading import open_image
from tacit.web.jobs.warning_messages import collected_messages

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
"""Pillow's names of the formats that may be uploaded. Pillow reads others, such as EPS, by running other programs."""


@dataclass(frozen=True)
class UploadedImage:
    """An image that the service keeps."""

    data: bytes
    digest: str  # of data


def load_upload(upload: bytes, pixel_limit: int) -> Raster:
    """Decode an uploaded image; its size is checked before its pixels are decoded.

    Raises:
        UnsupportedFile: The bytes are not an image of a known format.
        InvalidInput: The image is damaged.
        ImageTooLarge: It has more than `pixel_limit` pixels.
    """
    Image.init()  # Pillow looks only into plugins that are loaded, and would load some of these too late
    try:
        with open_image(io.BytesIO(upload), "image", FORMATS) as opened:
            width, height = opened.size
            if width * height > pixel_limit:
                raise ImageTooLarge(
                    f"image must have at most {pixel_limit} pixels, got {width} x {height} = {width * height}"
                )
            return images.from_pil(opened, name="image")
    except (TacitError, Warning, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnsupportedFile(f"not an image of a known format ({', '.join(FORMATS)})") from error
    except Exception as error:  # Pillow's readers raise errors of many kinds for damaged files
        raise InvalidInput(f"damaged image ({error})") from error


def reduced_png(upload: bytes, side: int, pixel_limit: int) -> bytes:
    """Return an uploaded image as a PNG of at most `side` x `side` pixels, without alpha and metadata.

    Raises:
        UnsupportedFile: The bytes are not an image of a known format.
        InvalidInput: The image is damaged.
        ImageTooLarge: It has more than `pixel_limit` pixels.
    """
    with collected_messages():
        raster = replace(load_upload(upload, pixel_limit), alpha=None)
    image = images.to_pil(raster).convert("RGB")
    image.thumbnail((side, side))
    image.info.clear()
    return to_bytes(image, "png")
