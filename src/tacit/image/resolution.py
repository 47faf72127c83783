"""Resolution: the dots per inch of an image, which a `.tacit` file keeps in EXIF."""

from __future__ import annotations

import math
import struct
from contextlib import suppress

from PIL import ExifTags

_X, _Y, _UNIT = ExifTags.Base.XResolution, ExifTags.Base.YResolution, ExifTags.Base.ResolutionUnit
_INCH, _CENTIMETRE = 2, 3
_UNKNOWN = {72, 96}  # what programs write of an image whose resolution nobody has chosen
_MOST = 65535  # what JPEG can hold
_SHORT, _RATIONAL = 3, 5  # types of TIFF fields


def usable_resolution(dpi: object) -> tuple[float, float] | None:
    """Return dots per inch as Pillow's plugins give them, whole where they nearly are; None for what is none."""
    with suppress(TypeError, ValueError, OverflowError, ZeroDivisionError):
        across, down = (float(value) for value in dpi)  # type: ignore[attr-defined]
        if all(math.isfinite(value) and 1 <= value <= _MOST for value in (across, down)):
            # PNG counts dots per metre: 300 dots per inch are read as 299.9994.
            return _whole(across), _whole(down)
    return None


def with_resolution(exif: bytes | None, dpi: object) -> bytes | None:
    """Return the same EXIF with a resolution, where it has none and this one says something.

    Everything stays at its place, so that all offsets hold; a new first IFD is put behind it.

    Args:
        exif: EXIF as a TIFF structure, without a thumbnail; None for a new one.
        dpi: Dots per inch, as Pillow's plugins give them in `info`.

    Raises:
        struct.error: The structure is cut short.
    """
    from fractions import Fraction  # and with it decimal, which decoding does without

    resolution = usable_resolution(dpi)
    if resolution is None or set(resolution) <= _UNKNOWN:
        return exif
    block = exif or b"II*\0\0\0\0\0"
    order = "<" if block.startswith(b"II") else ">"
    entries = _entries(exif, order) if exif else {}
    if _X in entries:
        return exif
    output = bytearray(block) + b"\0" * (len(block) % 2)
    for tag, value in zip((_X, _Y), resolution, strict=True):
        ratio = Fraction(value).limit_denominator(1000)
        entries[tag] = struct.pack(order + "HHII", tag, _RATIONAL, 1, len(output))
        output += struct.pack(order + "II", ratio.numerator, ratio.denominator)
    entries[_UNIT] = struct.pack(order + "HHIHH", _UNIT, _SHORT, 1, _INCH, 0)
    struct.pack_into(order + "I", output, 4, len(output))
    return bytes(
        output + struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    )


def resolution_of(exif: bytes) -> tuple[float, float] | None:
    """Return the dots per inch in EXIF, or None where it does not say them."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        entries = _entries(exif, order)
        unit = struct.unpack_from(order + "H", entries[_UNIT], 8)[0] if _UNIT in entries else _INCH
        across, down = (_ratio(exif, order, entries[tag]) for tag in (_X, _Y if _Y in entries else _X))
        factor = {_INCH: 1.0, _CENTIMETRE: 2.54}[unit]
        return usable_resolution((factor * across, factor * down))
    except (struct.error, LookupError, ZeroDivisionError):
        return None


def _entries(exif: bytes, order: str) -> dict[int, bytes]:
    """Return the entries of the first IFD by tag.

    Raises:
        struct.error: The structure is cut short.
    """
    (start,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    places = range(start + 2, start + 2 + 12 * count, 12)
    return {struct.unpack_from(order + "H10x", exif, place)[0]: exif[place : place + 12] for place in places}


def _ratio(exif: bytes, order: str, entry: bytes) -> float:
    kind, place = struct.unpack_from(order + "2xH4xI", entry)
    if kind != _RATIONAL:
        raise LookupError("a resolution is a ratio")
    above, below = struct.unpack_from(order + "II", exif, place)
    return float(above / below)


def _whole(value: float) -> float:
    return float(round(value)) if abs(value - round(value)) < 0.02 else value
