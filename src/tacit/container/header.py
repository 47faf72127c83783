"""The header of a file: a table of its numbers, and the class that checks, writes and reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag

from tacit.container.framing import MAX_NUMBER, Buffer, read_varint, varint
from tacit.container.payloads import quality_map as maps
from tacit.errors import CorruptFile, InvalidInput

_FIXED_RATE = 10_001  # stored in place of a quality


class Mode(IntFlag):
    """The bits of the header's `mode`."""

    COLOR = 1
    """RGB; without it the image is greyscale."""
    ALPHA = 2
    """The image has an alpha channel, in a chunk of its own."""
    QUALITY_MAP = 4
    """The quality varies over the image, by a map in a chunk of its own."""
    PROGRESSIVE = 8
    """The beginning of the file gives the whole image, coarse."""

    @property
    def version(self) -> int:
        """The first version of the format that has what the bits say."""
        if Mode.PROGRESSIVE in self:
            return 3
        return 2 if Mode.QUALITY_MAP in self else 1


@dataclass(frozen=True, kw_only=True)
class Field:
    """One number of the header."""

    name: str
    size: int | None
    """Bytes of a big-endian number; None for a varint."""
    low: int
    """The smallest value that it may have."""
    high: int
    """The largest value that it may have."""
    meaning: str
    """Its meaning, for docs/format.md."""
    mode: Mode | None = None
    """The bit of the mode without which the number is not there."""


# The header chunk, in the order of the file. Writing, reading, checking and the table in docs/format.md follow it.
HEADER = (
    Field(name="width", size=None, low=1, high=MAX_NUMBER, meaning="pixels"),
    Field(name="height", size=None, low=1, high=MAX_NUMBER, meaning="pixels"),
    Field(
        name="mode",
        size=1,
        low=0,
        high=15,
        meaning="bit 0: 1 = RGB, 0 = greyscale; bit 1: an alpha channel; bit 2: a quality map; bit 3: progressive",
    ),
    Field(
        name="quality",
        size=None,
        low=0,
        high=_FIXED_RATE,
        meaning="hundredths, 0 to 10000; 10001 = the model has one fixed rate",
    ),
    Field(name="model", size=1, low=0, high=255, meaning="identifier of the model's architecture"),
    Field(
        name="weights", size=8, low=0, high=(1 << 64) - 1, meaning="first 8 bytes of the hash of what decoding needs"
    ),
    Field(
        name="scans",
        size=1,
        low=1,
        high=255,
        meaning="only if the file is progressive: how many scans it has",
        mode=Mode.PROGRESSIVE,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of a file, and the quality map, which has a chunk of its own.

    Raises:
        InvalidInput: A value is one that the file cannot hold.
    """

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    color: bool
    """RGB if true, else greyscale."""
    alpha: bool
    """True if the image has an alpha channel."""
    quality: float | None
    """0 to 100, or None for a model of one fixed rate.

    It is rounded to hundredths here, because that is what the file holds: an encoder takes the quality from its header
    and so uses the one that the decoder will see.
    """
    model_id: int
    """The identifier of the model's architecture."""
    weights_hash: bytes
    """The first 8 bytes of the hash of what decoding needs."""
    quality_map: bytes | None = None
    """None, or what is added to the quality in each cell in raster order: -100 to 100, a signed byte each."""
    scans: int | None = None
    """How many scans a progressive file has, 1 to 255; None for a file that is not progressive."""

    def __post_init__(self) -> None:
        if self.quality is not None:
            if not 0 <= self.quality <= 100:  # also false for NaN
                raise InvalidInput(f"quality must be 0 to 100, got {self.quality}")
            object.__setattr__(self, "quality", round(self.quality * 100) / 100)
        if len(self.weights_hash) != 8:
            raise InvalidInput(f"weights hash must have 8 bytes, got {len(self.weights_hash)}")
        if self.quality_map is not None:
            if self.quality is None:
                raise InvalidInput("quality map must be None for a model of one fixed rate, got a map")
            problem = maps.problem(self.quality_map, self.width, self.height)
            if problem:
                raise InvalidInput(f"quality map {problem}")
        for field, number in self.numbers():
            if not field.low <= number <= field.high:
                raise InvalidInput(f"{field.name} must be {field.low} to {field.high}, got {number}")

    @property
    def mode(self) -> Mode:
        """The bits that stand in the file for color, alpha and the presence of a quality map."""
        mode = Mode.COLOR if self.color else Mode(0)
        mode |= Mode.ALPHA if self.alpha else Mode(0)
        mode |= Mode(0) if self.quality_map is None else Mode.QUALITY_MAP
        return mode if self.scans is None else mode | Mode.PROGRESSIVE

    @property
    def progressive(self) -> bool:
        """Whether the beginning of the file gives the whole image, coarse."""
        return self.scans is not None

    @property
    def channels(self) -> str:
        """The channels as Pillow names them: L, LA, RGB or RGBA."""
        return ("RGB" if self.color else "L") + ("A" if self.alpha else "")

    @property
    def version(self) -> int:
        """The first version of the format that has what the file needs."""
        return self.mode.version

    def numbers(self) -> Iterator[tuple[Field, int]]:
        """Return each field with the number that stands for it in the file."""
        quality = _FIXED_RATE if self.quality is None else round(self.quality * 100)
        weights = int.from_bytes(self.weights_hash, "big")
        numbers = (self.width, self.height, int(self.mode), quality, self.model_id, weights, self.scans)
        return ((field, number) for field, number in zip(HEADER, numbers, strict=True) if number is not None)

    def to_bytes(self) -> bytes:
        """Return the payload of the header chunk."""
        return b"".join(
            varint(number) if field.size is None else number.to_bytes(field.size, "big")
            for field, number in self.numbers()
        )

    @staticmethod
    def from_bytes(payload: Buffer) -> tuple[Header, Mode]:
        """Read the payload of a header chunk.

        Returns:
            The header without its quality map, and the mode, which says whether a quality map belongs to it.

        Raises:
            CorruptFile: A number is missing or has an impossible value.
        """
        view, position = memoryview(payload), 0
        numbers: dict[str, int] = {}
        for field in HEADER:
            if field.mode is not None and field.mode not in Mode(numbers["mode"]):
                continue
            what = f"chunk H: {field.name}"
            if field.size is None:
                number, position = read_varint(view, position, what)
            else:
                stored = view[position : position + field.size]
                if len(stored) != field.size:
                    raise CorruptFile(f"{what} must have {field.size} bytes, got {len(stored)}")
                number, position = int.from_bytes(stored, "big"), position + field.size
            if not field.low <= number <= field.high:
                raise CorruptFile(f"{what} must be {field.low} to {field.high}, got {number}")
            numbers[field.name] = number
        if position != len(view):
            raise CorruptFile(f"chunk H must have the {position} bytes of its numbers, got {len(view)}")
        mode = Mode(numbers["mode"])
        if Mode.QUALITY_MAP in mode and numbers["quality"] == _FIXED_RATE:
            raise CorruptFile(f"chunk H: mode must have no quality map for a model of one fixed rate, got {int(mode)}")
        header = Header(
            width=numbers["width"],
            height=numbers["height"],
            color=Mode.COLOR in mode,
            alpha=Mode.ALPHA in mode,
            quality=None if numbers["quality"] == _FIXED_RATE else numbers["quality"] / 100,
            model_id=numbers["model"],
            weights_hash=numbers["weights"].to_bytes(8, "big"),
            scans=numbers.get("scans"),
        )
        return header, mode
