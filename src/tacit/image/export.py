"""Export: a raster as a Pillow image, and an image as a file of a usual format."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tacit.container import Metadata
from tacit.errors import InvalidInput
from tacit.image.exif import EXIF_PREFIX, without_makers_note
from tacit.image.extended_xmp import split_packet
from tacit.image.formats import FORMATS
from tacit.image.messages import warn
from tacit.image.metadata import metadata_of_srgb, pil_info
from tacit.image.raster import Raster
from tacit.image.resolution import usable_resolution
from tacit.image.xmp import with_properties, xmp_descriptions, xmp_packet

_CAPTION_PLACES = ("dc:description", "Iptc4xmpCore:AltTextAccessibility")
_WITH_RESOLUTION = ("PNG", "JPEG", "BMP")  # beside EXIF
_WITHOUT_METADATA = ("BMP", "PPM")
_WITHOUT_GREY = ("WEBP", "AVIF")  # grey images become RGB, for which viewers refuse a profile of grey

# The largest metadata, in bytes. A PNG with a larger ICC profile is one that Pillow refuses to open. In JPEG, EXIF and
# XMP are one segment of 65,533 bytes each, with a prefix, and an ICC profile is at most 255 segments.
_PROFILE_LIMITS: Mapping[str, int] = MappingProxyType({"PNG": 1 << 20, "JPEG": 255 * 65_519})
_LIMITS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"JPEG": {"EXIF": 65_533 - len(EXIF_PREFIX), "XMP": 65_504}}
)


def to_pil(raster: Raster) -> Image.Image:
    """Return a raster as a Pillow image of mode L, LA, RGB or RGBA.

    Metadata is in `info` as Pillow's own plugins leave it: `icc_profile`, `exif`, `xmp`, `dpi`; and
    `caption`.
    """
    grey = raster.pixels.shape[2] == 1
    image = Image.fromarray(raster.pixels[..., 0] if grey else raster.pixels)
    if raster.alpha is not None:
        image.putalpha(Image.fromarray(raster.alpha))
    image.info.update(pil_info(raster.metadata))
    return image


def to_bytes(image: Image.Image, suffix: str, *, keep_metadata: bool = True) -> bytes:
    """Return the bytes of a file, with the image's ICC profile, EXIF, XMP and resolution where the format holds them.

    The caption becomes alternative text: dc:description and Iptc4xmpCore:AltTextAccessibility in XMP, if they are free.

    What the format does not hold is left out with a `ConversionWarning`; where it has no transparency, the image is put
    on white. Colours are converted to sRGB where the profile cannot stay: by request, in formats without metadata, one
    that is too large, and that of a grey image where the format holds it as RGB.

    Args:
        image: The image.
        suffix: The suffix of the format, a key of `FORMATS`.
        keep_metadata: Whether metadata are kept.

    Raises:
        InvalidInput: The format cannot hold the image or its metadata.
    """
    name, options = FORMATS[suffix]
    converted = bool(image.info.get("icc_profile")) and not (keep_metadata and _holds_profile(image, name))
    if converted:
        from tacit.image.icc import as_srgb

        image = as_srgb(image)
    metadata = _fitting_metadata(image, name) if keep_metadata else Metadata()
    if converted:
        metadata = metadata_of_srgb(metadata)
    dpi = usable_resolution(image.info.get("dpi")) if keep_metadata and name in _WITH_RESOLUTION else None
    resolution = {} if dpi is None else {"dpi": dpi}
    if name in ("JPEG", "BMP", "PPM") and image.mode in ("LA", "RGBA"):
        warn(f"{name} has no transparency: the image is put on white")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white.convert("L" if image.mode == "LA" else "RGB")
    # A copy without metadata, because Pillow's writers take from `info` what they are not given.
    plain = image.copy()
    plain.info = {}
    stream = io.BytesIO()
    try:
        plain.save(stream, name, **options, **resolution, **({} if name == "TIFF" else _save_options(metadata, name)))
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInput(f"cannot be saved as {name}: {error}") from error
    data = stream.getvalue()
    if name != "TIFF" or not any((metadata.icc, metadata.exif, metadata.xmp)):
        return data
    from tacit.image.tiff import tiff_with_metadata

    try:
        return tiff_with_metadata(data, exif=metadata.exif, icc=metadata.icc, xmp=metadata.xmp)
    except InvalidInput as error:
        warn(f"TIFF is written without EXIF: {error}")
        return tiff_with_metadata(data, exif=None, icc=metadata.icc, xmp=metadata.xmp)


def _holds_profile(image: Image.Image, name: str) -> bool:
    """Return whether a format can have the ICC profile of an image; one that is too large is warned of."""
    if name in _WITHOUT_METADATA or (name in _WITHOUT_GREY and image.mode in ("L", "LA")):
        return False
    size, limit = len(image.info["icc_profile"]), _PROFILE_LIMITS.get(name)
    if limit is None or size <= limit:
        return True
    warn(f"{name}: ICC profile must have at most {limit} bytes, got {size}: the colours are converted to sRGB")
    return False


def _fitting_metadata(image: Image.Image, name: str) -> Metadata:
    """Return the metadata of an image that a format holds; what is left out is warned of.

    Args:
        image: The image, with metadata in `info` as Pillow's plugins leave it.
        name: Pillow's name of the format.
    """
    exif = image.info.get("exif")
    kept = {
        "ICC profile": image.info.get("icc_profile") or None,
        "EXIF": (exif.removeprefix(EXIF_PREFIX) if isinstance(exif, bytes) else None) or None,
        "XMP": xmp_packet(image),
    }
    caption = image.info.get("caption")
    if name in _WITHOUT_METADATA:
        lost = [kind for kind, data in (kept | {"the caption": caption}).items() if data]
        if lost:
            warn(f"{name} holds no metadata: {' and '.join(lost)} {'is' if len(lost) == 1 else 'are'} left out")
        return Metadata()
    if isinstance(caption, str) and caption:
        kept["XMP"] = _with_caption(kept["XMP"], caption, name)
    for kind, limit in _LIMITS.get(name, {}).items():
        data = kept[kind]
        if kind == "XMP" and data is not None and name == "JPEG" and split_packet(data, limit) is not None:
            continue
        if data is not None and len(data) > limit:
            shorter = without_makers_note(data) if kind == "EXIF" else None
            fits = shorter is not None and len(shorter) <= limit
            what = "the maker's note" if fits else "it"
            warn(f"{name}: {kind} must have at most {limit} bytes, got {len(data)}: {what} is left out")
            kept[kind] = shorter if fits else None
    return Metadata(icc=kept["ICC profile"], exif=kept["EXIF"], xmp=kept["XMP"])


def _with_caption(packet: bytes | None, caption: str, name: str) -> bytes | None:
    """Return an XMP packet with the caption as a description and as alternative text, where it has none."""
    described = with_properties(packet, dict.fromkeys(_CAPTION_PLACES, (caption,)))
    if described is None or caption not in xmp_descriptions(described):
        warn(f"{name}: XMP has other descriptions or cannot be read, and the caption is left out")
        return packet
    return described


def _save_options(metadata: Metadata, name: str) -> dict[str, Any]:
    """Return the options with which Pillow writes metadata into a file of a format."""
    options: dict[str, Any] = {}
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.exif:
        options["exif"] = EXIF_PREFIX + metadata.exif
    if metadata.xmp and name == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    elif metadata.xmp and name == "JPEG" and len(metadata.xmp) > _LIMITS[name]["XMP"]:
        parts = split_packet(metadata.xmp, _LIMITS[name]["XMP"])
        assert parts is not None
        standard = b"http://ns.adobe.com/xap/1.0/\0" + parts[0]
        options["extra"] = b"\xff\xe1" + (2 + len(standard)).to_bytes(2) + standard + parts[1]
    elif metadata.xmp and name in ("JPEG", "WEBP", "AVIF"):
        options["xmp"] = metadata.xmp
    return options
