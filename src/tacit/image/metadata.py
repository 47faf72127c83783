"""The metadata of an image: the part that a `.tacit` file keeps, and the way back to Pillow."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PIL import Image

from tacit.container import MAX_CAPTION, MAX_METADATA, Metadata
from tacit.image.exif import EXIF_PREFIX, colours_of_exif, exif_as_srgb, kept_exif, without_previews, without_thumbnail
from tacit.image.extended_xmp import without_reference
from tacit.image.messages import one_line, warn
from tacit.image.resolution import resolution_of
from tacit.image.xmp import (
    reset_xmp_orientation,
    with_properties,
    without_gain_map,
    without_xmp_thumbnails,
    xmp_as_srgb,
    xmp_packet,
)


def image_with_info(info: Mapping[str, Any]) -> Image.Image:
    """Return an image without pixels that has this metadata."""
    image = Image.Image()
    image.info.update(info)
    return image


def kept_metadata(image: Image.Image, mode: str, grey: bool, name: str) -> Metadata:
    """Return what is kept of an image's metadata.

    Args:
        image: The image, or one without pixels that has its metadata.
        mode: The mode of the pixels as they were.
        grey: Whether the pixels have become grey.
        name: What warnings call the image.
    """
    from tacit.image.caption import caption_from_metadata
    from tacit.image.iptc import iptc_properties, text_properties

    iptc, texts = iptc_properties(image, name), text_properties(image, name)
    kept = {
        "ICC profile": _kept_icc(image, mode, grey, name),
        "EXIF": kept_exif(image, name),
        "XMP": _kept_xmp(image, {**texts, **iptc}, name),
    }
    for kind, data in kept.items():
        if data is not None and len(data) > MAX_METADATA:
            warn(f"{name}: {kind} must have at most {MAX_METADATA} bytes, got {len(data)}, and is dropped")
            kept[kind] = None
    caption = caption_from_metadata(image, iptc=iptc, texts=texts)
    if caption is not None and len(caption.encode()) > MAX_CAPTION:
        warn(f"{name}: the caption in its metadata is cut to {MAX_CAPTION} bytes")
        caption = caption.encode()[:MAX_CAPTION].decode(errors="ignore")
    return Metadata(caption=caption, icc=kept["ICC profile"], exif=kept["EXIF"], xmp=kept["XMP"])


def without_thumbnails(metadata: Metadata) -> Metadata:
    """Return the metadata without thumbnails in EXIF and XMP; EXIF in which they cannot be told apart is dropped."""
    exif, xmp = metadata.exif, metadata.xmp
    if exif:
        try:
            exif = without_previews(without_thumbnail(exif))
        except (struct.error, ValueError) as error:
            warn(f"unreadable EXIF is dropped ({one_line(error)})")
            exif = None
    return replace(metadata, exif=exif, xmp=None if xmp is None else without_xmp_thumbnails(xmp))


def metadata_of_srgb(metadata: Metadata) -> Metadata:
    """Return the metadata of an image whose colours have become sRGB, which name no others and have no ICC profile."""
    exif, xmp = metadata.exif, metadata.xmp
    if exif is not None:
        exif = exif_as_srgb(exif)
        if colours_of_exif(image_with_info({"exif": exif})) is not None:
            warn("EXIF that names other colours is dropped, because it cannot be changed")
            exif = None
    return replace(metadata, icc=None, exif=exif, xmp=None if xmp is None else xmp_as_srgb(xmp))


def pil_info(metadata: Metadata) -> dict[str, Any]:
    """Return the entries of Pillow's `Image.info` for the metadata of a `.tacit` file."""
    entries = {
        "icc_profile": metadata.icc,
        # With JPEG's prefix, because that is what Pillow's JPEG writer wants and the others accept.
        "exif": EXIF_PREFIX + metadata.exif if metadata.exif else None,
        "xmp": metadata.xmp,
        "caption": metadata.caption,
        "dpi": resolution_of(metadata.exif) if metadata.exif else None,
    }
    return {key: value for key, value in entries.items() if value is not None}


def _kept_xmp(image: Image.Image, properties: Mapping[str, tuple[str, ...]], name: str) -> bytes | None:
    """Return an image's XMP, with properties that come from elsewhere where it has none of the same name."""
    packet = xmp_packet(image)
    if packet is not None:
        packet, unresolved = without_reference(without_gain_map(without_xmp_thumbnails(reset_xmp_orientation(packet))))
        if unresolved:
            warn(f"{name}: extended XMP is damaged or missing, and left out")
    if not properties:
        return packet
    extended = with_properties(packet, properties)
    if extended is None:
        warn(f"{name}: XMP cannot be read, and cannot take {', '.join(properties)}")
        return packet
    return extended


def _kept_icc(image: Image.Image, mode: str, grey: bool, name: str) -> bytes | None:
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not profile or mode in ("CMYK", "LAB"):
        return None  # CMYK and LAB were converted to sRGB, which needs no profile
    space = profile[16:20]
    if space != (b"GRAY" if grey else b"RGB "):
        warn(f"{name}: an ICC profile for {space.decode('ascii', 'replace').strip()!r} pixels is dropped")
        return None
    return profile
