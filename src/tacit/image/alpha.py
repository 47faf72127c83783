"""Alpha as the payload of a `.tacit` file's alpha chunk, lossless."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, PngImagePlugin

from tacit.container.payloads.alpha import CONSTANT, PNG
from tacit.errors import CorruptFile
from tacit.image.messages import one_line
from tacit.image.raster import Pixels

# An 8-bit greyscale PNG, by its first 26 bytes: signature, length and type of IHDR, width, height, depth, colour type.
_PNG_START = struct.Struct(">8sI4sIIBB")


def encode_alpha(alpha: Pixels) -> bytes:
    """Return the payload of the alpha chunk for alpha uint8 [H, W]: one level if it is constant, otherwise a PNG."""
    if alpha.min() == alpha.max():
        return bytes([CONSTANT, alpha.flat[0]])
    stream = io.BytesIO()
    stream.write(bytes([PNG]))
    Image.fromarray(np.ascontiguousarray(alpha)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def decode_alpha(payload: bytes, width: int, height: int) -> Pixels:
    """Decode the payload of an alpha chunk.

    Nothing is allocated before the payload is known to promise this size.

    Args:
        payload: The method byte and the data.
        width: Pixels, as the header says.
        height: Pixels, as the header says.

    Returns:
        Alpha, uint8 [height, width].

    Raises:
        CorruptFile: The payload is damaged or of another size.
    """
    if not payload:
        raise CorruptFile("alpha must begin with a method byte, got an empty payload")
    method, data = payload[0], payload[1:]
    if method == CONSTANT:
        if len(data) != 1:
            raise CorruptFile(f"alpha must have 1 byte of data where it is constant, got {len(data)}")
        return np.full((height, width), data[0], np.uint8)
    if method != PNG:
        raise CorruptFile(f"alpha method must be {CONSTANT} (constant) or {PNG} (PNG), got {method}")
    start = (b"\x89PNG\r\n\x1a\n", 13, b"IHDR", width, height, 8, 0)
    if len(data) < _PNG_START.size or _PNG_START.unpack_from(data) != start:
        raise CorruptFile(f"alpha must be an 8-bit greyscale PNG of {width}x{height} pixels, got other bytes")
    try:
        # Not Image.open: its limit on pixels is not that of whoever reads this file.
        with PngImagePlugin.PngImageFile(io.BytesIO(data)) as image:
            return np.array(image.convert("L") if image.mode != "L" else image)
    except (Warning, MemoryError):
        raise
    except Exception as error:  # Pillow's PNG reader answers damage with errors of many kinds
        raise CorruptFile(f"alpha: damaged PNG ({one_line(error)})") from error
