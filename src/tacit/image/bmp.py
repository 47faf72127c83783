"""BMP: what the headers of versions 4 and 5 say of colours, which Pillow passes over."""

from __future__ import annotations

import struct
from typing import BinaryIO

from tacit.container import MAX_METADATA
from tacit.image.colours import D65, ColourSignal, calibrated_signal

_HEADER = 14  # where the header of the image begins, behind that of the file
_VERSION_4, _VERSION_5 = 108, 124  # sizes of headers
_COLOURS, _PROFILE = 56, 112  # places in the header: of the kind of colours, of where the profile is
_CALIBRATED, _EMBEDDED, _LINKED = 0, int.from_bytes(b"MBED"), int.from_bytes(b"LINK")


def bmp_signals(file: BinaryIO) -> tuple[ColourSignal | None, bytes | None]:
    """Return the colours that a BMP file says, and its ICC profile; None for each that it does not have.

    Calibrated colours are those of primaries and a gamma; their white is that of daylight, as in browsers.

    Raises:
        struct.error: The header is cut short.
    """
    file.seek(_HEADER)
    header = file.read(_VERSION_5)
    (size,) = struct.unpack_from("<I", header)
    if size < _VERSION_4:
        return None, None
    kind, *numbers = struct.unpack_from("<I9i3I", header, _COLOURS)
    if kind == _CALIBRATED:
        return _calibrated(numbers[:9], numbers[9:]), None
    if size < _VERSION_5 or kind not in (_EMBEDDED, _LINKED):
        return None, None  # sRGB, or the colours of Windows, which are the same
    if kind == _LINKED:
        return ColourSignal("an ICC profile outside of the file", None), None
    place, length = struct.unpack_from("<II", header, _PROFILE)
    if length > MAX_METADATA:
        return ColourSignal(f"an ICC profile of more than {MAX_METADATA} bytes", None), None
    file.seek(_HEADER + place)
    return None, file.read(length) or None


def _calibrated(endpoints: list[int], gammas: list[int]) -> ColourSignal | None:
    """Return the colours of X, Y, Z of red, green and blue, and of the gamma of each; None where all are zero."""
    primaries = list(D65)
    for place in (0, 3, 6):
        x, y, z = endpoints[place : place + 3]
        if x + y + z:
            primaries += [x / (x + y + z), y / (x + y + z)]
    powers = [gamma / 65536 for gamma in gammas if gamma]
    if len(primaries) != 8 and not powers:
        return None  # what programs write that know no colours
    text = "calibrated colours of BMP"
    if powers and max(powers) > 1.01 * min(powers):
        return ColourSignal(f"{text} (a gamma of its own for each)", None)
    # Some programs write the power of encoding, which is below 1.
    power = None if not powers else powers[0] if powers[0] >= 1 else 1 / powers[0]
    return calibrated_signal(text, power, tuple(primaries) if len(primaries) == 8 else None)
