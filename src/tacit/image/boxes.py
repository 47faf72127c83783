"""Boxes, of which AVIF, HEIF, JPEG 2000 and JPEG XL are made, and what those files say of their samples."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from tacit.container import MAX_METADATA
from tacit.image.colours import ROMM_RGB, ColourSignal, code_point_signal

_CONFIGURATIONS = (b"av1C", b"hvcC", b"pixi")
_APPLE_GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap"
# Enumerated colour spaces of JPEG 2000 that Pillow reads as what they are: CMYK, sRGB, grey, sYCC, and bilevel.
_USUAL_SPACES = {0, 12, 15, 16, 17, 18}
_ROMM_RGB = 21
_OTHER_SPACES = {
    1: "YCbCr of BT.709",
    3: "YCbCr of BT.601",
    4: "YCbCr of BT.601",
    9: "PhotoYCC",
    11: "CMY",
    13: "YCCK",
    14: "CIELab",
    19: "CIEJab",
    20: "e-sRGB",
    22: "YPbCr",
    23: "YPbCr",
    24: "e-sYCC",
}


def boxes(file: BinaryIO, first: int, last: int) -> Iterator[tuple[bytes, int, int]]:
    """Return the type of each box in a part of a file, and where its content begins and ends."""
    place = first
    while place + 8 <= last:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        start = place + 8
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack_from(">Q", head, 8)
            start += 8
        end = last if size == 0 else place + size
        if end < start or end > last:
            return
        yield kind, start, end
        place = end


def end_of(file: BinaryIO) -> int:
    """Return the size of a file."""
    return file.seek(0, os.SEEK_END)


@dataclass
class HeifSignals:
    """What an AVIF or HEIF file says of its image, the primary item."""

    bits: int = 8
    """Of a sample."""
    colours: ColourSignal | None = None
    """Its colours, by nclx."""
    gain_map: bool = False
    """Whether there is a gain map, with which the image becomes HDR."""


def heif_signals(file: BinaryIO) -> HeifSignals:
    """Return what an AVIF or HEIF file says of its image.

    Raises:
        struct.error: A box is cut short.
    """
    for kind, start, end in boxes(file, 0, end_of(file)):
        if kind == b"meta" and end - start <= MAX_METADATA:
            file.seek(start + 4)
            content = file.read(end - start - 4)
            return _Items.read(content).signals()
    return HeifSignals()


@dataclass
class _Items:
    """The items of a file: its images, tiles, alpha, gain maps and metadata."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    associations: dict[int, list[int]] = field(default_factory=dict)
    tiles: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def read(cls, meta: bytes) -> _Items:
        items = cls()
        readers = {b"pitm": items._read_primary, b"iinf": items._read_kinds, b"iref": items._read_references}
        for kind, content in _contents(meta):
            if kind in readers:
                readers[kind](content)
            elif kind == b"iprp":
                for inner, data in _contents(content):
                    if inner == b"ipco":
                        items.properties = list(_contents(data))
                    elif inner == b"ipma":
                        items._read_associations(data)
        return items

    def signals(self) -> HeifSignals:
        own = self._properties_of(self.primary)
        of_tile = self._properties_of(self.tiles[self.primary][0]) if self.tiles.get(self.primary) else {}
        found = HeifSignals()
        found.bits = _bits(own) or _bits(of_tile) or 8
        for several in (own, of_tile):
            for data in several.get(b"colr", ()):
                if data[:4] == b"nclx" and found.colours is None:
                    found.colours = code_point_signal("nclx", *struct.unpack_from(">HH", data, 4))
        auxiliary = [data for kind, data in self.properties if kind == b"auxC"]
        found.gain_map = b"tmap" in self.kinds.values() or any(_APPLE_GAIN_MAP in data for data in auxiliary)
        return found

    def _properties_of(self, item: int) -> Mapping[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        for index in self.associations.get(item, ()):
            if 0 < index <= len(self.properties):
                kind, data = self.properties[index - 1]
                found.setdefault(kind, []).append(data)
        return found

    def _read_primary(self, box: bytes) -> None:
        (self.primary,) = struct.unpack_from(">I" if box[0] else ">H", box, 4)

    def _read_kinds(self, box: bytes) -> None:
        for kind, entry in _contents(box[8 if box[0] else 6 :]):
            if kind == b"infe" and entry[:1] in (b"\2", b"\3"):
                number, _, name = struct.unpack_from(">HH4s" if entry[0] == 2 else ">IH4s", entry, 4)
                self.kinds[number] = name

    def _read_references(self, box: bytes) -> None:
        letter = "I" if box[0] else "H"
        for kind, data in _contents(box[4:]):
            source, count = struct.unpack_from(f">{letter}H", data)
            if kind == b"dimg":
                self.tiles[source] = list(struct.unpack_from(f">{count}{letter}", data, struct.calcsize(f">{letter}H")))

    def _read_associations(self, box: bytes) -> None:
        wide, place = box[3] & 1, 8
        (entries,) = struct.unpack_from(">I", box, 4)
        for _ in range(entries):
            item, count = struct.unpack_from(">IB" if box[0] else ">HB", box, place)
            place += 5 if box[0] else 3
            numbers = struct.unpack_from(f">{count}{'H' if wide else 'B'}", box, place)
            place += count * (2 if wide else 1)
            self.associations.setdefault(item, []).extend(n & (0x7FFF if wide else 0x7F) for n in numbers)


def _contents(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    file = io.BytesIO(data)
    return ((kind, data[start:end]) for kind, start, end in boxes(file, 0, len(data)))


def _bits(properties: Mapping[bytes, list[bytes]]) -> int:
    """Return the bits of a sample by an item's properties, or 0 where they do not say it."""
    for data in properties.get(b"pixi", ()):
        if len(data) > 5:
            return max(data[5 : 5 + data[4]])
    for data in properties.get(b"av1C", ()):
        if len(data) > 2:
            return 8 if not data[2] & 0x40 else 12 if data[2] & 0x20 else 10
    for data in properties.get(b"hvcC", ()):
        if len(data) > 17:
            return 8 + (data[17] & 7)
    return 0


@dataclass
class Jpeg2000Signals:
    """What a JPEG 2000 file says of its image."""

    bits: int = 8
    """Of a sample, the most of its components."""
    icc: bytes | None = None
    """Its ICC profile, which Pillow does not read."""
    colours: ColourSignal | None = None
    """Its colours, where they are a space that Pillow takes as sRGB though it is another."""


def jpeg2000_signals(file: BinaryIO) -> Jpeg2000Signals:
    """Return what a JPEG 2000 file, with boxes or without, says of its image.

    Raises:
        struct.error: A box or a header is cut short.
    """
    found = Jpeg2000Signals()
    file.seek(0)
    if file.read(4) == b"\xff\x4f\xff\x51":
        file.seek(40)
        (count,) = struct.unpack(">H", file.read(2))
        found.bits = _component_bits(file.read(3 * min(count, 4))[::3])
        return found
    for kind, first, last in boxes(file, 0, end_of(file)):
        if kind != b"jp2h" or last - first > MAX_METADATA:
            continue
        file.seek(first)
        colours_read = False
        for inner, data in _contents(file.read(last - first)):
            if inner == b"ihdr" and len(data) > 10 and data[10] != 0xFF:
                found.bits = _component_bits(data[10:11])
            elif inner == b"bpcc":
                found.bits = _component_bits(data)
            elif inner == b"colr" and not colours_read:
                colours_read = True
                if data[:1] in (b"\2", b"\3"):
                    found.icc = data[3:]
                else:
                    found.colours = _colours_of_jpeg2000(data)
        break
    return found


def _colours_of_jpeg2000(box: bytes) -> ColourSignal | None:
    """Return the colours in a box colr without an ICC profile, or None where they are what Pillow takes them for."""
    method = box[0]
    if method == 1:
        (space,) = struct.unpack_from(">I", box, 3)
        if space in _USUAL_SPACES:
            return None
        if space == _ROMM_RGB:
            return ColourSignal("colr (ROMM RGB)", ROMM_RGB)
        return ColourSignal(f"colr ({_OTHER_SPACES.get(space, f'colour space {space}')} of JPEG 2000)", None)
    if method == 5:  # code points of ITU-T H.273
        primaries, transfer, matrix, full = struct.unpack_from(">HHHB", box, 3)
        if matrix not in (0, 2):
            return ColourSignal(f"colr (colours by the matrix {matrix})", None)
        if not full & 0x80:
            return ColourSignal("colr (levels of a narrow range)", None)
        return code_point_signal("colr", primaries, transfer)
    return ColourSignal(f"colr (method {method})", None)


def _component_bits(depths: bytes) -> int:
    return max(((depth & 0x7F) + 1 for depth in depths), default=8)
