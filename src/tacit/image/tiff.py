"""TIFF: a file with the pixels of one TIFF and the metadata of an image."""

from __future__ import annotations

import io
import struct

from PIL import ExifTags, Image, TiffImagePlugin

from tacit.errors import InvalidInput

# Types of TIFF fields.
_BYTE, _SHORT, _LONG, _UNDEFINED = 1, 3, 4, 7
_FORMATS = {_SHORT: "H", _LONG: "I"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # bytes of a value, by type

# Tags of EXIF that are about the samples, the strips or other images of the file that EXIF comes from.
_STRUCTURE = {
    *range(254, 267),  # kind of image, size, depth, compression, photometric interpretation, halftoning, fill order
    *(273, 277, 278, 279, 280, 281, 284, 292, 293, 301, 317, 318, 319, 320, 321),
    *(322, 323, 324, 325, 330, 332, 338, 339, 340, 341, 347),  # tiles, images in sub-IFDs, extra samples, JPEG tables
    *range(512, 522),  # the thumbnail, and JPEG in the old way
    *(529, 530, 531, 532),  # YCbCr
    *(ExifTags.Base.XMLPacket, ExifTags.Base.InterColorProfile),
}


def tiff_with_metadata(pixels: bytes, *, exif: bytes | None, icc: bytes | None, xmp: bytes | None) -> bytes:
    """Return a TIFF with the pixels of another one, and with metadata.

    The file begins with EXIF just as it is, so that all offsets in it still hold: those of its sub-IFDs (Exif, GPS,
    interoperability), and those in makers' notes, which nobody else can move. The strips and a new first IFD follow.

    Args:
        pixels: A TIFF of one image, whose samples have 8 bits; its metadata are dropped.
        exif: EXIF as a TIFF structure.
        icc: An ICC profile.
        xmp: An XMP packet.

    Raises:
        InvalidInput: EXIF is damaged.
    """
    block = exif or b"II*\0\0\0\0\0"
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        raise InvalidInput("EXIF must begin as a TIFF does, got other bytes")
    try:
        entries = _first_entries(block, order) if exif else {}
    except struct.error:
        raise InvalidInput("EXIF must have a whole first IFD, got one that is cut short") from None
    output = bytearray(block)

    def append(data: bytes) -> int:
        output.extend(b"\0" * (len(output) % 2))
        output.extend(data)
        return len(output) - len(data)

    def put(tag: int, kind: int, data: bytes, count: int) -> None:
        value = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", append(data))
        entries[tag] = struct.pack(order + "HHI", tag, kind, count) + value

    with Image.open(io.BytesIO(pixels)) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        fields = {tag: image.tag_v2[tag] for tag in image.tag_v2 if tag in _STRUCTURE}
        kinds = image.tag_v2.tagtype
    strips = zip(fields[ExifTags.Base.StripOffsets], fields[ExifTags.Base.StripByteCounts], strict=True)
    fields[ExifTags.Base.StripOffsets] = tuple(append(pixels[start : start + size]) for start, size in strips)
    for tag, value in fields.items():
        values = value if isinstance(value, tuple) else (value,)
        kind = _LONG if tag in (ExifTags.Base.StripOffsets, ExifTags.Base.StripByteCounts) else kinds[tag]
        if kind in _FORMATS:
            put(tag, kind, struct.pack(f"{order}{len(values)}{_FORMATS[kind]}", *values), len(values))
    if xmp:
        put(ExifTags.Base.XMLPacket, _BYTE, xmp, len(xmp))
    if icc:
        put(ExifTags.Base.InterColorProfile, _UNDEFINED, icc, len(icc))
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
    struct.pack_into(order + "I", output, 4, append(directory + b"\0\0\0\0"))
    return bytes(output)


def _first_entries(exif: bytes, order: str) -> dict[int, bytes]:
    """Return the entries of the first IFD that are about the image, as they are, by tag.

    Entries whose values are not inside the structure are left out: readers refuse a whole TIFF for one of these.

    Raises:
        struct.error: The structure is cut short.
    """
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    entries = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, number, value = struct.unpack_from(order + "HHII", exif, place)
        size = _SIZES.get(kind, 0) * number
        if tag not in _STRUCTURE and size and (size <= 4 or value + size <= len(exif)):
            entries[tag] = exif[place : place + 12]
    return entries
