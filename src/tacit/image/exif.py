"""EXIF: what of it is kept, and the orientation in it."""

from __future__ import annotations

import struct

from PIL import ExifTags, Image

from tacit.image.colours import ADOBE_RGB, ColourSignal
from tacit.image.messages import one_line, warn
from tacit.image.resolution import with_resolution

EXIF_PREFIX = b"Exif\x00\x00"
"""The bytes that JPEG puts before EXIF. Pillow's `info["exif"]` has them, a `Raster` and a `.tacit` file do not."""

# The tags of a TIFF that are about the image, apart from those about its own strips and samples.
_IMAGE_TAGS = {
    *(270, 271, 272, 282, 283, 296, 305, 306, 315, 316),  # description, make, model, resolution, software, date, artist
    *(18246, 18249, 33432),  # rating, rating in percent, copyright
    *(40091, 40092, 40093, 40094, 40095),  # title, comment, author, keywords, subject, as Windows writes them
    *(ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo),
}

# EXIF's names of colours: ColorSpace, and the index of the rules by which cameras name files (DCF).
_SRGB, _ADOBE, _UNCALIBRATED = 1, 2, 0xFFFF
_INDEX = 1
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I"}  # types of TIFF fields: BYTE, SHORT, LONG, IFD

_JPEG, _START_OF_SCAN, _END = b"\xff\xd8\xff", 0xDA, b"\xff\xd9"
_THUMBNAIL_DATA = {273, 279, 513, 514}  # where a thumbnail's strips or its JPEG are, and how long


def orientation_of(image: Image.Image) -> int:
    """Return the orientation, 1 to 8, from EXIF or else XMP, as Pillow's `exif_transpose` finds it."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (Warning, MemoryError):
        raise
    except Exception:  # broken EXIF: the pixels are what counts, and kept_exif warns of it
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def colours_of_exif(image: Image.Image) -> ColourSignal | None:
    """Return Adobe RGB where EXIF says that an image has these colours, in either of the ways of cameras; else None."""
    try:
        exif = image.getexif()
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(_INDEX)
    except (Warning, MemoryError):
        raise
    except Exception:  # broken EXIF, of which kept_exif warns
        return None
    by_index = space in (None, _UNCALIBRATED) and isinstance(index, str) and index.startswith("R03")
    return ColourSignal("EXIF (Adobe RGB)", ADOBE_RGB) if space == _ADOBE or by_index else None


def exif_as_srgb(exif: bytes) -> bytes:
    """Return the same EXIF with sRGB for the image's colours where it has something else, changed in place."""
    order = "<" if exif.startswith(b"II") else ">"
    changed = bytearray(exif)
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        first = _entry_places(exif, order, start)
        own = _entry_places(exif, order, _number(exif, order, first[ExifTags.IFD.Exif]))
        if ExifTags.Base.ColorSpace in own:
            _put_number(changed, order, own[ExifTags.Base.ColorSpace], _SRGB)
        rules = _entry_places(exif, order, _number(exif, order, own[ExifTags.IFD.Interop]))
        count, place = struct.unpack_from(order + "II", exif, rules[_INDEX] + 4)
        if count <= 4:
            place = rules[_INDEX] + 8
        if exif[place : place + 3] == b"R03":
            changed[place : place + 3] = b"R98"
    except (struct.error, KeyError):
        pass  # what is not there says nothing
    return bytes(changed)


def kept_exif(image: Image.Image, name: str) -> bytes | None:
    """Return an image's EXIF as a TIFF structure with orientation 1, or None.

    Bytes that the file had are kept as they are, but for the orientation: if they were written anew, the offsets inside
    makers' notes would no longer hold. A resolution that the image has elsewhere becomes part of EXIF.

    Args:
        image: The image.
        name: What warnings call it.
    """
    data, dpi = image.info.get("exif"), image.info.get("dpi")
    try:
        if not isinstance(data, bytes):
            exif = image.getexif()  # a TIFF's own tags, or the hexadecimal form that ImageMagick puts into PNG
            kept = Image.Exif()
            kept.endian = exif.endian
            for tag in _IMAGE_TAGS & set(exif):
                kept[tag] = exif.get_ifd(tag) if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) else exif[tag]
            if interoperability := exif.get_ifd(ExifTags.IFD.Interop) if ExifTags.IFD.Exif in exif else None:
                kept[ExifTags.IFD.Exif] = {**kept[ExifTags.IFD.Exif], ExifTags.IFD.Interop: interoperability}
            block = without_previews(kept.tobytes().removeprefix(EXIF_PREFIX)) if len(kept) else None
            return with_resolution(block, dpi)  # it has no thumbnail
        data = data.removeprefix(EXIF_PREFIX)
        if not data:
            return with_resolution(None, dpi)
        data = without_previews(without_thumbnail(_reset_orientation(data)))
        check = Image.Exif()
        check.load(data)
        if check.get(ExifTags.Base.Orientation, 1) != 1:
            raise ValueError("the orientation cannot be reset")
        return with_resolution(data, dpi)
    except (Warning, MemoryError):
        raise
    except Exception as error:  # Pillow's parser answers broken EXIF with errors of many kinds
        warn(f"{name}: unreadable EXIF is dropped ({one_line(error)})")
        return None


def without_thumbnail(exif: bytes) -> bytes:
    """Return the same EXIF without the thumbnail: its IFD is unlinked, and its bytes are erased.

    A thumbnail shows the image as it was before it was turned, cropped or edited, and so what somebody has cut away.
    Everything else stays at its place, so that all offsets hold.

    Raises:
        struct.error: The structure is cut short.
        ValueError: The thumbnail lies where the first IFD is.
    """
    order = "<" if exif.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    link = start + 2 + 12 * count
    if len(exif) < link + 4:
        return exif  # the link to another IFD is missing, which Pillow allows, too
    (second,) = struct.unpack_from(order + "I", exif, link)
    if second == 0:
        return exif
    changed = bytearray(exif)
    struct.pack_into(order + "I", changed, link, 0)
    spans = _thumbnail_spans(exif, order, second) if second + 2 <= len(exif) else []
    merged: list[tuple[int, int]] = []  # each byte once, however many spans hold it
    for first, last in sorted(spans):
        if (first < link + 4 and last > start) or first < 8:
            raise ValueError("the thumbnail lies where the first IFD is")
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    for first, last in reversed(merged):
        if last >= len(changed):
            del changed[first:]
        else:
            changed[first:last] = bytes(last - first)
    return bytes(changed)


def without_previews(exif: bytes) -> bytes:
    """Return the same EXIF without the JPEG files in it, which are erased: cameras put previews into makers' notes."""
    changed = bytearray(exif)
    place = exif.find(_JPEG)
    while place >= 0:
        end = _end_of_jpeg(exif, place)
        if end is not None:
            changed[place:end] = bytes(end - place)
        place = exif.find(_JPEG, end or place + 1)
    return bytes(changed)


def without_makers_note(exif: bytes) -> bytes | None:
    """Return EXIF written anew without the maker's note, which is what makes it large; None if it has none."""
    try:
        read = Image.Exif()
        read.load(exif)
        written = Image.Exif()
        written.endian = read.endian
        for tag, value in read.items():
            written[tag] = read.get_ifd(tag) if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo) else value
        own = dict(read.get_ifd(ExifTags.IFD.Exif))
        if own.pop(ExifTags.Base.MakerNote, None) is None:
            return None
        if ExifTags.IFD.Interop in own:
            own[ExifTags.IFD.Interop] = read.get_ifd(ExifTags.IFD.Interop)
        written[ExifTags.IFD.Exif] = own
        return written.tobytes().removeprefix(EXIF_PREFIX)
    except (Warning, MemoryError):
        raise
    except Exception:  # Pillow's parser answers broken EXIF with errors of many kinds
        return None


def _end_of_jpeg(data: bytes, start: int) -> int | None:
    """Return where a JPEG file ends, or None where none begins, or one that is cut off."""
    place = start + 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, size = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        place += 2 + size
        if marker == _START_OF_SCAN:
            end = data.find(_END, place)
            return None if end < 0 else end + len(_END)
    return None


def _thumbnail_spans(exif: bytes, order: str, start: int) -> list[tuple[int, int]]:
    """Return where the IFD of a thumbnail and its image data begin and end.

    Raises:
        struct.error: The IFD is cut short.
    """
    (count,) = struct.unpack_from(order + "H", exif, start)
    spans = [(start, start + 2 + 12 * count + 4)]
    places: dict[int, tuple[int, ...]] = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", exif, entry)
        if tag in _THUMBNAIL_DATA and kind in (3, 4) and number:
            form = f"{order}{number}{'H' if kind == 3 else 'I'}"
            size = number * (2 if kind == 3 else 4)
            place = entry + 8 if size <= 4 else struct.unpack_from(order + "I", exif, entry + 8)[0]
            if place + size > len(exif):
                raise struct.error("the places of the thumbnail are cut short")
            places[tag] = struct.unpack_from(form, exif, place)
    for offsets, sizes in ((513, 514), (273, 279)):
        pairs = zip(places.get(offsets, ()), places.get(sizes, ()), strict=False)
        spans += [(offset, offset + size) for offset, size in pairs if size]
    return spans


def _reset_orientation(exif: bytes) -> bytes:
    """Return the same EXIF with orientation 1, changed in place.

    Raises:
        struct.error: The structure is cut short.
    """
    order = "<" if exif.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", exif, 4)
    changed = bytearray(exif)
    entry = _entry_places(exif, order, start).get(ExifTags.Base.Orientation)
    if entry is not None:
        _put_number(changed, order, entry, 1)
    return bytes(changed)


def _number(exif: bytes, order: str, entry: int) -> int:
    """Return the number in the entry at a place.

    Raises:
        struct.error: It is cut short, or no number.
    """
    (kind,) = struct.unpack_from(order + "H", exif, entry + 2)
    if kind not in _NUMBERS:
        raise struct.error("no number")
    (value,) = struct.unpack_from(order + _NUMBERS[kind], exif, entry + 8)
    return int(value)


def _put_number(exif: bytearray, order: str, entry: int, value: int) -> None:
    """Put a number into the entry at a place, if there is a number."""
    (kind,) = struct.unpack_from(order + "H", exif, entry + 2)
    if kind in _NUMBERS:
        struct.pack_into(order + _NUMBERS[kind], exif, entry + 8, value)


def _entry_places(exif: bytes, order: str, start: int) -> dict[int, int]:
    """Return where the entry of each tag of an IFD begins.

    Raises:
        struct.error: The IFD is cut short.
    """
    (count,) = struct.unpack_from(order + "H", exif, start)
    places = range(start + 2, start + 2 + 12 * count, 12)
    return {struct.unpack_from(order + "H10x", exif, place)[0]: place for place in places}
