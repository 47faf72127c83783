"""Images as the page shows them: upright sRGB on white, without metadata, in a lossless file."""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import dataclass

from PIL import Image, ImageCms

from tacit import image as images
from tacit.demo.samples import SAMPLES, sample_image
from tacit.web.jobs.uploads import load_upload
from tacit.web.jobs.warning_messages import collected_messages

WEBP_SIDE = 16383  # pixels; WebP cannot hold more
UNCOMPRESSED_PIXELS = 5 << 19  # a larger uncompressed image takes too long to send and too much memory
THUMBNAIL_SIDE = 480  # pixels


@dataclass(frozen=True, kw_only=True)
class DisplayImage:
    """An image as the page works on it. Its file is lossless, and encoding starts from this file."""

    data: bytes
    media_type: str
    width: int
    height: int
    own_width: int  # before the image was reduced
    own_height: int
    caption: str | None  # from the metadata of the upload
    warnings: tuple[str, ...]  # about what could not be kept


def open_upload(upload: bytes, pixels: int | None, uncompressed: bool, pixel_limit: int) -> DisplayImage:
    """Make the image in an upload ready for the page.

    Args:
        upload: The image's file.
        pixels: Reduce a larger image to this number of pixels; None keeps all.
        uncompressed: As of `lossless_file`.
        pixel_limit: The largest number of pixels that is decoded.

    Raises:
        UnsupportedFile: The bytes are not an image of a known format.
        InvalidInput: The image is damaged.
        ImageTooLarge: It has more than `pixel_limit` pixels.
    """
    with collected_messages() as messages:
        raster = load_upload(upload, pixel_limit)
    return _display_image(images.to_pil(raster), raster.metadata.caption, pixels, uncompressed, tuple(messages))


def open_sample(name: str, uncompressed: bool) -> DisplayImage:
    """Make a sample image ready for the page, by its name in `tacit.demo.samples.SAMPLES`.

    Raises:
        MissingExtra: scikit-image, which has the samples, is not installed.
    """
    caption = next(s.caption for s in SAMPLES if s.name == name)
    return _display_image(sample_image(name), caption, None, uncompressed, ())


def sample_thumbnail(name: str) -> bytes:
    """Return a small version of a sample image, as WebP.

    Raises:
        MissingExtra: scikit-image, which has the samples, is not installed.
    """
    image = sample_image(name)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=85)
    return stream.getvalue()


def lossless_file(image: Image.Image, uncompressed: bool) -> tuple[bytes, str]:
    """Return a lossless file that browsers show, made fast rather than small, and its media type.

    Args:
        image: RGB.
        uncompressed: Do not compress at all, for a browser on the same machine: sending bytes costs it nothing.
    """
    stream = io.BytesIO()
    if uncompressed and image.width * image.height <= UNCOMPRESSED_PIXELS:
        image.save(stream, "BMP")
        return stream.getvalue(), "image/bmp"
    if max(image.size) <= WEBP_SIDE:
        image.save(stream, "WEBP", lossless=True, method=0, quality=0)
        return stream.getvalue(), "image/webp"
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue(), "image/png"


def _display_image(
    image: Image.Image, caption: str | None, pixels: int | None, uncompressed: bool, warnings: tuple[str, ...]
) -> DisplayImage:
    own_width, own_height = image.size
    image = _on_white(_to_srgb(image))
    if pixels is not None and image.width * image.height > pixels:
        scale = math.sqrt(pixels / (image.width * image.height))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image.info.clear()
    data, media_type = lossless_file(image, uncompressed)
    return DisplayImage(
        data=data,
        media_type=media_type,
        width=image.width,
        height=image.height,
        own_width=own_width,
        own_height=own_height,
        caption=caption,
        warnings=warnings,
    )


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert an image to sRGB; a colour profile that cannot be used is ignored.

    Images side by side on the page must differ only by the codec, so all of them have the colours of the web.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" not in ImageCms.getProfileDescription(own):
            alpha = image.getchannel("A") if "A" in image.getbands() else None
            colours = image.convert("L" if image.mode.startswith("L") else "RGB")
            colours = ImageCms.profileToProfile(colours, own, ImageCms.createProfile("sRGB"), outputMode="RGB")  # type: ignore[assignment]
            if alpha is not None:
                colours.putalpha(alpha)
            return colours
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if "A" not in image.getbands():
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")
