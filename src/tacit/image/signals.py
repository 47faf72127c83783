"""What a file says of its samples that Pillow does not keep: colours without an ICC profile, depth, gain maps."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    """Return what the file of an image says; where there is none any more, what Pillow has kept of it.

    Pillow closes a file once its image is loaded; it is opened again by its name. Open files are left at the place
    where they were. What is damaged says nothing.
    """
    with _opened(image) as file:
        if file is None:
            return FileSignals(_of_png(image, None) or _of_tiff(image) or _of_heif_info(image))
        place = file.tell()
        try:
            return _read_signals(image, file)
        except (OSError, struct.error, ValueError, LookupError, TypeError):
            return FileSignals()  # the pixels are what counts, and Pillow says whether they are damaged
        finally:
            file.seek(place)


def _read_signals(image: Image.Image, file: BinaryIO) -> FileSignals:
    """Return what a file says.

    Raises:
        OSError, struct.error, ValueError, LookupError, TypeError: It is damaged.
    """
    match image.format:
        case "PNG":
            return FileSignals(_of_png(image, code_points(file)))
        case "AVIF" | "HEIF":
            heif = heif_signals(file)
            return FileSignals(heif.colours, heif.bits, gain_map=heif.gain_map)
        case "JPEG2000":
            jpeg2000 = jpeg2000_signals(file)
            return FileSignals(jpeg2000.colours, jpeg2000.bits, jpeg2000.icc)
        case "BMP":
            colours, icc = bmp_signals(file)
            return FileSignals(colours, icc=icc)
        case "JXL":
            return FileSignals(bits=jpeg_xl_bits(file))
        case "JPEG" | "MPO":
            return FileSignals(gain_map=_has_gain_map(image, file))
        case "TIFF":
            return FileSignals(_of_tiff(image))
    return FileSignals()


@contextmanager
def _opened(image: Image.Image) -> Iterator[BinaryIO | None]:
    """Give the file of an image, which is opened where it is closed and has a name."""
    name: Any = getattr(image, "filename", None)  # only images of files have one
    with ExitStack() as opened:
        file: Any = None
        with suppress(OSError, ValueError):  # what was closed is put off errors
            file = getattr(image, "fp", None)
            if file is not None and (file.closed or not file.seekable()):
                file = None
            if file is None and isinstance(name, str | bytes) and _is_of(image, name):
                file = opened.enter_context(open(name, "rb"))
        yield file


def _is_of(image: Image.Image, name: str | bytes) -> bool:
    """Return whether a file is still that of an image, as far as its header says."""
    if not os.path.isfile(name):  # a pipe would be waited for
        return False
    try:
        with warnings.catch_warnings(), Image.open(name) as there:
            return (there.format, there.size) == (image.format, image.size)
    except Exception:  # Pillow's readers have errors of many kinds
        return False


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
