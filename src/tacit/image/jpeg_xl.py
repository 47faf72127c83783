"""JPEG XL: how many bits the samples of a file have, which its header says."""

from __future__ import annotations

from typing import BinaryIO

from tacit.image.boxes import boxes, end_of

_HEADER = 64  # bytes in which everything up to the depth is, unless there is a preview
_SIZE = ((9, 1), (13, 1), (18, 1), (30, 1))
_INTEGER_BITS = ((0, 8), (0, 10), (0, 12), (6, 1))
_FLOAT_BITS = ((0, 32), (0, 16), (0, 24), (6, 1))


class _Bits:
    """Bits of a header, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def read(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the header is cut short")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value

    def choose(self, choices: tuple[tuple[int, int], ...]) -> int:
        """Read a number in one of four ways, each of which is a count of bits and what is added to them."""
        count, offset = choices[self.read(2)]
        return self.read(count) + offset

    def skip_size(self) -> None:
        small = self.read(1)
        self.read(5) if small else self.choose(_SIZE)
        if self.read(3) == 0:  # otherwise the width follows from the height
            self.read(5) if small else self.choose(_SIZE)


def jpeg_xl_bits(file: BinaryIO) -> int:
    """Return the bits of a sample in a JPEG XL file; 8 where its header is not understood."""
    file.seek(0)
    start = file.read(2)
    if start != b"\xff\x0a":
        for kind, first, _ in boxes(file, 0, end_of(file)):
            if kind in (b"jxlc", b"jxlp"):
                file.seek(first + (4 if kind == b"jxlp" else 0))
                start = file.read(2)
                break
    if start != b"\xff\x0a":
        return 8
    try:
        return _depth(_Bits(file.read(_HEADER)))
    except ValueError:
        return 8


def _depth(bits: _Bits) -> int:
    bits.skip_size()
    if bits.read(1):  # everything has its default
        return 8
    if bits.read(1):  # there are fields beyond the depth and the colours
        bits.read(3)  # orientation
        if bits.read(1):
            bits.skip_size()
        if bits.read(1):
            raise ValueError("a preview, whose header is not read")
        if bits.read(1):  # an animation: ticks, loops, time codes
            bits.choose(((0, 100), (0, 1000), (10, 1), (30, 1)))
            bits.choose(((0, 1), (0, 1001), (8, 1), (10, 1)))
            bits.choose(((0, 0), (3, 0), (16, 0), (32, 0)))
            bits.read(1)
    return bits.choose(_FLOAT_BITS if bits.read(1) else _INTEGER_BITS)
