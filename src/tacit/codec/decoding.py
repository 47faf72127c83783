"""One `.tacit` file on its way to an image."""

from __future__ import annotations

import inspect
import io
import math
import operator
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np

from tacit import image as images
from tacit.codec.model import Array, DecodingModel, Engine, Model
from tacit.codec.synthesis import Box, Latents, region_quality, stack_qualities, synthesise
from tacit.container import Container, Header, Region, region_grid
from tacit.engine.limits import LARGE
from tacit.entropy.streams import Stream
from tacit.entropy.units import LATENT_STEP
from tacit.errors import CorruptFile, InvalidInput, PathError
from tacit.image import Raster

FileSource = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO
"""A file: its bytes, its path, or a binary file object."""


class DamageWarning(UserWarning):
    """A part of a file is damaged and was left out, because the file is being salvaged."""


def warn_of_damage(lines: Sequence[str]) -> None:
    """Issue a DamageWarning for each line, as from the first caller outside of this package."""
    package = __name__.rpartition(".")[0]
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(f"{package}."):
        level, frame = level + 1, frame.f_back
    for line in lines:
        warnings.warn(DamageWarning(line), stacklevel=level)


M = TypeVar("M", bound=DecodingModel)


class FileDecoding(Generic[M]):
    """One file on its way to an image: the file, and the latents of those of its regions that a box needs.

    Args:
        file: The file.
        model: The model that decodes it.
        box: The part to decode: left, top, right, bottom in pixels; None for the whole.

    Raises:
        InvalidInput: The box is not four whole numbers, or not inside the image.
    """

    def __init__(self, file: Container, model: M, box: Box | None = None) -> None:
        self.file, self.model = file, model
        self.header = file.header
        self.regions = region_grid(self.header.width, self.header.height)
        self.box = check_box(box, self.header)
        self.damage: list[str] = []
        reach = model.synthesis_reach * LATENT_STEP
        left, top, right, bottom = self.box
        self.needed = [
            i
            for i, r in enumerate(self.regions)
            if r.left < right + reach
            and r.top < bottom + reach
            and r.left + r.width > left - reach
            and r.top + r.height > top - reach
        ]
        first, last = self.regions[self.needed[0]], self.regions[self.needed[-1]]
        self.origin = first.top // LATENT_STEP, first.left // LATENT_STEP
        height = last.top // LATENT_STEP + self.latent_shape(last)[0] - self.origin[0]
        width = last.left // LATENT_STEP + self.latent_shape(last)[1] - self.origin[1]
        # [M, h, w] of the regions that are needed, from `origin` on; where the model is, as it takes them next
        self.values = model.engine.zeros((model.latent, height, width), np.int16)

    def latent_shape(self, region: Region) -> tuple[int, int]:
        """Return the height and the width of a region's latents."""
        return self.model.latent_size(region.height), self.model.latent_size(region.width)

    def stream(self, index: int) -> Stream:
        """Return what the file has of a region's bytes."""
        return Stream(self.file.regions[index] or b"", self.header.progressive, index in self.file.cut)

    def put(self, region: Region, latents: Array) -> None:
        """Put the decoded latents of a region where they belong."""
        row = region.top // LATENT_STEP - self.origin[0]
        column = region.left // LATENT_STEP - self.origin[1]
        self.values[:, row : row + latents.shape[1], column : column + latents.shape[2]] = latents

    def latents(self) -> Latents:
        """Return what is decoded so far."""
        return Latents(self.header, self.box, self.origin, self.values)

    def raster(self: FileDecoding[Model], salvage: bool = False) -> Raster:
        """Synthesise the box.

        Args:
            salvage: Whether a damaged alpha channel becomes opaque, with a line in `damage`, instead of an error.

        Raises:
            CorruptFile: The alpha channel is damaged.
        """
        (pixels,) = synthesise([self.latents()], [self.model])
        return self.painted(pixels, salvage)

    def painted(self, pixels: np.ndarray, salvage: bool = False) -> Raster:
        """Return the image of pixels that have been synthesised, with alpha and metadata.

        Args:
            pixels: Of the box [H, W, 1 or 3] uint8.
            salvage: As for `raster`.

        Raises:
            CorruptFile: The alpha channel is damaged.
        """
        alpha = self.alpha(salvage)
        # Files of earlier versions have thumbnails, which show what a box leaves out.
        return Raster(pixels, alpha, images.without_thumbnails(self.file.metadata))

    def alpha(self, salvage: bool = False) -> images.Pixels | None:
        """Return the alpha channel of the box, opaque where it is lost; None where the image has none.

        Raises:
            CorruptFile: The alpha channel is damaged, and `salvage` is False.
        """
        if not self.header.alpha:
            return None
        left, top, right, bottom = self.box
        if self.file.alpha is not None:
            try:
                whole = images.decode_alpha(self.file.alpha, self.header.width, self.header.height)
                return np.ascontiguousarray(whole[top:bottom, left:right])
            except CorruptFile as error:
                if not salvage:
                    raise
                self.damage.append(str(error))
        return np.full((bottom - top, right - left), 255, dtype=np.uint8)


def decode_regions(decodings: Sequence[FileDecoding[Any]], *, salvage: bool) -> None:
    """Decode the regions that are needed into the latents of their files; those of equal shape together.

    Args:
        decodings: Files, of any models.
        salvage: Whether damaged regions stay zeros, with a line in `damage`, instead of an error.

    Raises:
        CorruptFile: A region is damaged.
    """
    for model in {id(d.model): d.model for d in decodings}.values():
        _decode_of_model([d for d in decodings if d.model is model], model, salvage)


def _decode_of_model(decodings: Sequence[FileDecoding[Any]], model: DecodingModel, salvage: bool) -> None:
    # (height, width, quality, whether there is a map) -> files and regions
    groups: dict[tuple[int, int, float | None, bool], list[tuple[FileDecoding[Any], int]]] = {}
    for decoding in decodings:
        for index in decoding.needed:
            if decoding.file.regions[index] is not None:
                header = decoding.header
                mapped = header.quality_map is not None
                shape = decoding.latent_shape(decoding.regions[index])
                groups.setdefault((*shape, None if mapped else header.quality, mapped), []).append((decoding, index))
    for (height, width, *_), members in groups.items():
        step = max(1, model.engine.pixels_together() // (height * width * LATENT_STEP**2))
        for start in range(0, len(members), step):
            _decode_batch(members[start : start + step], model, height, width, salvage)
    if any(math.prod(decoding.values.shape[1:]) * LATENT_STEP**2 > LARGE for decoding in decodings):
        model.release()  # for the synthesis, which needs memory of its own


def _decode_batch(
    members: Sequence[tuple[FileDecoding[Any], int]], model: DecodingModel, height: int, width: int, salvage: bool
) -> None:
    """Decode regions, each of height x width latents."""
    streams = [decoding.stream(index) for decoding, index in members]
    qualities = [region_quality(d.header, d.regions[index], height, width) for d, index in members]
    try:
        together = model.decompress(streams, height, width, stack_qualities(qualities, height, width))
    except CorruptFile:
        together = None  # one of them is damaged; find out which
    for number, (decoding, index) in enumerate(members):
        try:
            latents = (
                together[number]
                if together is not None
                else model.decompress([streams[number]], height, width, qualities[number])[0]
            )
        except CorruptFile as error:
            if not salvage:
                raise CorruptFile(f"chunk R {index}: {error}") from error
            decoding.damage.append(f"chunk R {index}: {error}")
        else:
            decoding.put(decoding.regions[index], latents)


def parts_together(headers: Sequence[Header], engine: Engine) -> list[list[int]]:
    """Divide files into parts that are decoded together, those of one size in the same part as far as there is room.

    Args:
        headers: Of the files.
        engine: What decodes them.

    Returns:
        The numbers of each part's files. On a CPU all files are one part.
    """
    if not engine.overlaps:
        return [list(range(len(headers)))] if headers else []
    most = engine.pixels_together()
    parts: list[list[int]] = []
    room = 0
    for number in sorted(range(len(headers)), key=lambda n: (headers[n].height, headers[n].width)):
        pixels = headers[number].height * headers[number].width
        if pixels > room or not parts:
            parts.append([])
            room = most
        parts[-1].append(number)
        room -= pixels
    return parts


def check_box(box: Box | None, header: Header) -> Box:
    """Return the part of an image that a box names, the whole image for None.

    Raises:
        InvalidInput: The box is not four whole numbers, or not inside the image.
    """
    if box is None:
        return 0, 0, header.width, header.height
    try:
        left, top, right, bottom = map(operator.index, box)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"box must be four whole numbers (left, top, right, bottom), got {box!r}") from error
    if not (0 <= left < right <= header.width and 0 <= top < bottom <= header.height):
        raise InvalidInput(f"box must be inside the image of {header.width}x{header.height} pixels, got {box}")
    return left, top, right, bottom


def read_bytes(source: FileSource) -> bytes | bytearray | memoryview:
    """Return the bytes of a file: bytes, a path, or a binary file from where it stands (at its end: all of it).

    Raises:
        PathError: The file cannot be read.
        InvalidInput: The source is none of the three.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return source
    if isinstance(source, str | os.PathLike):
        try:
            return Path(source).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a null character
            raise PathError(f"{os.fspath(source)}: {getattr(error, 'strerror', None) or error}") from error
    if isinstance(source, io.IOBase) or hasattr(source, "read"):
        try:
            data = source.read()
            if not data:  # a buffer that has just been written stands at its end
                with suppress(AttributeError, io.UnsupportedOperation):
                    source.seek(0)
                    data = source.read()
        except (OSError, ValueError) as error:  # ValueError: a closed file
            name = getattr(source, "name", "file")
            raise PathError(f"{name}: {getattr(error, 'strerror', None) or error}") from error
        if isinstance(data, bytes | bytearray | memoryview):
            return data
    raise InvalidInput(f"a file must be bytes, a path or a binary file, got {type(source).__name__}")
