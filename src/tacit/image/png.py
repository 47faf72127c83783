"""PNG: chunks that Pillow's reader passes over, or would refuse a whole image for."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import PngImagePlugin

from tacit.container import MAX_METADATA
from tacit.image.messages import warn

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_XMP = b"XML:com.adobe.xmp"


@dataclass(frozen=True)
class LargeChunks:
    """The chunks of a PNG that Pillow does not read, because they are larger than its limits."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    """Where they begin and end in the file."""
    info: dict[str, bytes] = field(default_factory=dict)
    """The ICC profile and XMP in them, under the keys of Pillow's `Image.info`."""
    names: list[str] = field(default_factory=list)
    """What is left out with them."""


def without_large_chunks(file: BinaryIO, name: str) -> tuple[BinaryIO, dict[str, bytes]]:
    """Return a PNG without the texts and the ICC profile that are too large for Pillow, which refuses the whole image.

    Any other file is returned as it is, and so is a PNG without such chunks. What is left out is warned of, once.

    Args:
        file: The file, which stands at the beginning of the image.
        name: What warnings call it.

    Returns:
        The file to read, which stands at its beginning, and what of the large chunks is metadata to keep: entries of
        Pillow's `Image.info`.
    """
    start = file.tell()
    try:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return file, {}
        large = _large_chunks(file)
        if not large.spans:
            return file, {}
        parts, place = [], start
        for first, last in large.spans:
            file.seek(place)
            parts.append(file.read(first - place))
            place = last
        file.seek(place)
        parts.append(file.read())
    finally:
        file.seek(start)
    if large.names:
        warn(f"{name}: {', '.join(large.names)}: larger than Pillow's limits on text in PNG, and left out")
    return io.BytesIO(b"".join(parts)), large.info


def code_points(file: BinaryIO) -> bytes | None:
    """Return the content of a PNG's chunk cICP, or None if it has none before its pixels."""
    file.seek(len(_SIGNATURE))
    for kind, place, size in _chunks(file):
        if kind == b"IDAT":
            return None
        if kind == b"cICP":
            file.seek(place)
            return file.read(size)
    return None


def _large_chunks(file: BinaryIO) -> LargeChunks:
    large = LargeChunks()
    memory = 0  # of all texts that are left, which Pillow limits too
    for kind, place, size in _chunks(file):
        if kind != b"iCCP" and kind not in _TEXTS:
            continue
        file.seek(place)
        key, data, compressed = _parts(kind, file.read(size))
        text = _inflated(data, MAX_METADATA) if compressed else data
        counted = 0 if text is None or kind == b"iCCP" else len(text)
        # Pillow limits each compressed one, and all texts together.
        small = text is not None and (not compressed or len(text) <= PngImagePlugin.MAX_TEXT_CHUNK)
        if small and memory + counted <= PngImagePlugin.MAX_TEXT_MEMORY:
            memory += counted
            continue
        large.spans.append((place - 8, place + size + 4))
        if text is not None and kind == b"iCCP":
            large.info["icc_profile"] = text
        elif text is not None and len(text) <= MAX_METADATA and key == _XMP:
            large.info["xmp"] = text
        else:
            large.names.append("the ICC profile" if kind == b"iCCP" else f"the text {key.decode('latin-1')!r}")
    return large


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Return the type of each chunk, where its data begins, and its size; the file stands behind the signature."""
    place = file.tell()
    end = file.seek(0, os.SEEK_END)
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IEND" or place + 8 + size > end:
            return
        yield kind, place + 8, size
        place += 12 + size


def _parts(kind: bytes, chunk: bytes) -> tuple[bytes, bytes, bool]:
    """Return the keyword of a text or an ICC profile, its data, and whether they are compressed."""
    key, _, rest = chunk.partition(b"\0")
    if kind == b"tEXt":
        return key, rest, False
    if kind != b"iTXt":
        return key, rest[1:], True
    data = rest[2:].split(b"\0", 2)[-1]  # behind the language and the translated keyword
    return key, data, rest[:1] == b"\1"


def _inflated(data: bytes, most: int) -> bytes | None:
    """Return what a zlib stream holds, or None where that is more than `most` bytes; a damaged stream is empty."""
    stream = zlib.decompressobj()
    with suppress(zlib.error):
        text = stream.decompress(data, most)
        return None if stream.unconsumed_tail else text
    return b""
