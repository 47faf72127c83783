"""What a file says of its samples that Pillow does not keep: colours without an ICC profile, depth, gain maps."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image

from tacit.image.bmp import bmp_signals
from tacit.image.boxes import heif_signals, jpeg2000_signals
from tacit.image.colours import SRGB_PRIMARIES, ColourSignal, calibrated_signal, code_point_signal
from tacit.image.jpeg_xl import jpeg_xl_bits
from tacit.image.png import code_points
from tacit.image.xmp import xmp_packet

_WHITE_POINT, _PRIMARIES, _TRANSFER_FUNCTION = 318, 319, 301  # tags of TIFF
_MP_ENTRIES = 0xB002  # of the multi-picture format, with the places of a JPEG file's images
_GAIN_MAPS = (
    b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"http://ns.apple.com/HDRGainMap/1.0/",
    b"urn:iso:std:iso:ts:21496:-1",
)
_HEAD = 1 << 16  # bytes in which an image of a JPEG file says that it is a gain map


@dataclass
class FileSignals:
    """What a file says of its samples, apart from what Pillow keeps."""

    colours: ColourSignal | None = None
    """Its colours, where something else than an ICC profile says them."""
    bits: int = 8
    """Of a sample."""
    icc: bytes | None = None
    """An ICC profile that Pillow does not read."""
    gain_map: bool = False
    """Whether there is a gain map, with which the image becomes HDR."""


def file_signals(image: Image.Image) -> FileSignals:
    """Return what the file of an image says, which is not loaded yet; of a loaded one, what Pillow has kept of it.

    Files are left at the place where they were. What is damaged says nothing.
    """
    form, file = image.format, _open_file(image)
    found = FileSignals()
    if file is None:
        found.colours = _of_png(image, None) or _of_tiff(image) or _of_heif_info(image)
        return found
    place = file.tell()
    try:
        if form == "PNG":
            found.colours = _of_png(image, code_points(file))
        elif form in ("AVIF", "HEIF"):
            heif = heif_signals(file)
            found = FileSignals(heif.colours, heif.bits, gain_map=heif.gain_map)
        elif form == "JPEG2000":
            jpeg2000 = jpeg2000_signals(file)
            found = FileSignals(jpeg2000.colours, jpeg2000.bits, jpeg2000.icc)
        elif form == "BMP":
            found.colours, found.icc = bmp_signals(file)
        elif form == "JXL":
            found.bits = jpeg_xl_bits(file)
        elif form in ("JPEG", "MPO"):
            found.gain_map = _has_gain_map(image, file)
        elif form == "TIFF":
            found.colours = _of_tiff(image)
    except (struct.error, ValueError, LookupError, TypeError):
        pass  # the pixels are what counts, and Pillow says whether they are damaged
    finally:
        file.seek(place)
    return found


def _open_file(image: Image.Image) -> BinaryIO | None:
    with suppress(ValueError):  # what was closed is put off errors
        file: Any = getattr(image, "fp", None)
        if file is not None and not file.closed and file.seekable():
            return file  # type: ignore[no-any-return]
    return None


def _of_png(image: Image.Image, cicp: bytes | None) -> ColourSignal | None:
    """Return the colours of a PNG in the order of precedence: cICP, (iCCP,) sRGB, gAMA and cHRM."""
    if cicp is not None and len(cicp) == 4 and cicp[2] == 0:
        if cicp[3] != 1:
            return ColourSignal("cICP (levels of a narrow range)", None, over_icc=True)
        return code_point_signal("cICP", cicp[0], cicp[1], over_icc=True)
    gamma, primaries = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or image.format not in ("PNG", None):
        return None
    words, power = [], None
    if isinstance(gamma, float | int):
        words.append(f"gAMA {gamma:g}")
        power = 1 / gamma if gamma else 0.0
    if isinstance(primaries, tuple) and len(primaries) == 8:
        words.append("cHRM")
    else:
        primaries = None
    return calibrated_signal(" and ".join(words), power, primaries) if words else None


def _of_tiff(image: Image.Image) -> ColourSignal | None:
    tags = getattr(image, "tag_v2", {})
    white, primaries = tags.get(_WHITE_POINT), tags.get(_PRIMARIES)
    if _TRANSFER_FUNCTION in tags:
        return ColourSignal("TransferFunction", None)
    if primaries is None or len(primaries) != 6:
        return None
    values = [float(value) for value in (white or SRGB_PRIMARIES[:2]) + tuple(primaries)]
    return calibrated_signal("PrimaryChromaticities", None, tuple(values))


def _of_heif_info(image: Image.Image) -> ColourSignal | None:
    """Return the colours that the plugin pillow-heif has read."""
    nclx = image.info.get("nclx_profile")
    with suppress(LookupError, TypeError, ValueError):
        if nclx is not None:
            return code_point_signal("nclx", int(nclx["color_primaries"]), int(nclx["transfer_characteristics"]))
    return None


def _has_gain_map(image: Image.Image, file: BinaryIO) -> bool:
    """Return whether a JPEG file has a gain map of Adobe's, Google's, Apple's or ISO's kind."""
    segments: Any = getattr(image, "applist", ())
    heads = [data for name, data in segments if name == "APP2"]
    heads.append(xmp_packet(image) or b"")
    places = getattr(image, "mpinfo", None) or {}
    start = image.info.get("mpoffset", 0)
    for entry in places.get(_MP_ENTRIES, ())[1:]:
        file.seek(start + entry["DataOffset"])
        heads.append(file.read(_HEAD))
    return any(mark in head for head in heads for mark in _GAIN_MAPS)
