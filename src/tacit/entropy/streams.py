"""The streams of images: what is coded of each one, in which order, and what is left out.

A stream holds the hyper-latents, and then, step by step in coding order, those values of the latents whose table is not
one of the lowest. Several streams are coded one after the other here, and by processes in `tacit.entropy.pool`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tacit.entropy.coder import SymbolDecoder, SymbolEncoder, SymbolModels
from tacit.errors import CorruptFile


@dataclass(frozen=True, eq=False)
class StreamModels:
    """What the coder knows of the symbols of a stream."""

    z: SymbolModels
    """One table for each channel of the hyper-latents."""

    y: SymbolModels
    """One table for each scale of the latents."""

    skip: int
    """Tables of `y` below this one code nothing: the symbols there are zero."""

    def hyper_indices(self, count: int) -> np.ndarray:
        """Return the table of each hyper-latent, for so many of each channel."""
        return np.repeat(np.arange(len(self.z.tables), dtype=np.uint16), count)


@dataclass(frozen=True)
class Stream:
    """The bytes of an image, and what decoding must know of them."""

    data: bytes
    """The bytes."""

    falling: bool = False
    """Whether the tables of each step come in falling order."""

    cut: bool = False
    """Whether only the beginning is there. The symbols that are missing then decode to zero."""


def encode_stream(
    models: StreamModels,
    hyper: np.ndarray,
    sizes: Sequence[int],
    tables: np.ndarray,
    symbols: np.ndarray,
    falling: bool = False,
) -> Stream:
    """Return the stream of one image.

    Args:
        models: The models of the symbols.
        hyper: The symbols of the hyper-latents, channel by channel [Z n].
        sizes: How many values each step has.
        tables: The table of each value of the latents, step after step [N], uint8.
        symbols: The symbols [N], which are zero where nothing is coded.
        falling: Whether the tables of each step come in falling order.
    """
    encoder = SymbolEncoder(falling)
    encoder.put(models.z, models.hyper_indices(len(hyper) // len(models.z.tables)), hyper.astype(np.int32))
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        coded = np.flatnonzero(tables[part] >= models.skip)
        encoder.put(models.y, tables[part][coded], symbols[part][coded].astype(np.int32))
        start += size
    return Stream(encoder.finish(), falling)


def check_not_empty(streams: Sequence[Stream]) -> None:
    """Check that streams have bytes: the coder ends symbols with a word at least.

    Raises:
        CorruptFile: One is empty though it is whole.
    """
    if not all(stream.data or stream.cut for stream in streams):
        raise CorruptFile("entropy-coded data must not be empty")


class StreamDecoder:
    """Decodes the stream of one image.

    Args:
        models: The models of the symbols.
        stream: The stream.

    Raises:
        CorruptFile: The data are not whole words.
    """

    def __init__(self, models: StreamModels, stream: Stream) -> None:
        self._models = models
        self._decoder = SymbolDecoder(stream.data, stream.falling, stream.cut)

    def hyper(self, count: int) -> np.ndarray:
        """Return the symbols of the hyper-latents, `count` of each channel [Z count], int32.

        Raises:
            CorruptFile: No encoder can have written the data.
        """
        return self._decoder.get(self._models.z, self._models.hyper_indices(count))

    def step(self, tables: np.ndarray, symbols: np.ndarray) -> None:
        """Decode a step.

        Args:
            tables: The table of each value [n], uint8.
            symbols: Is filled with the symbols [n], int16.

        Raises:
            CorruptFile: No encoder can have written the data.
        """
        coded = np.flatnonzero(tables >= self._models.skip)
        symbols.fill(0)
        symbols[coded] = self._decoder.get(self._models.y, tables[coded])

    def finish(self) -> None:
        """Check that no data are left.

        Raises:
            CorruptFile: The data go on after the last symbol.
        """
        self._decoder.finish()


class StreamCoders(Protocol):
    """Codes the streams of several images of one shape."""

    def encode(
        self,
        models: StreamModels,
        hyper: np.ndarray,
        sizes: Sequence[int],
        tables: np.ndarray,
        symbols: np.ndarray,
        falling: bool = False,
    ) -> list[Stream]:
        """Return the streams. The arrays are those of `encode_stream`, with the images as their first axis."""

    def decode(self, models: StreamModels, streams: Sequence[Stream]) -> StreamDecoders:
        """Return decoders of the streams.

        Raises:
            CorruptFile: The data are not whole words.
        """


class StreamDecoders(Protocol):
    """Decodes the streams of several images of one shape, step by step; `close` it in any case."""

    def hyper(self, count: int) -> np.ndarray:
        """Return the symbols of the hyper-latents [B, Z count], int32; as for `StreamDecoder`."""

    def step(self, tables: np.ndarray, symbols: np.ndarray) -> None:
        """Decode a step: tables and symbols [B, n], as for `StreamDecoder`."""

    def finish(self) -> None:
        """Check that no data are left."""

    def close(self) -> None:
        """Forget what is not decoded yet."""


class LocalCoders:
    """Codes streams one after the other, in the caller's thread."""

    def encode(
        self,
        models: StreamModels,
        hyper: np.ndarray,
        sizes: Sequence[int],
        tables: np.ndarray,
        symbols: np.ndarray,
        falling: bool = False,
    ) -> list[Stream]:
        """Return the streams."""
        return [
            encode_stream(models, own, sizes, t, s, falling) for own, t, s in zip(hyper, tables, symbols, strict=True)
        ]

    def decode(self, models: StreamModels, streams: Sequence[Stream]) -> LocalDecoders:
        """Return decoders of the streams."""
        return LocalDecoders(models, streams)


class LocalDecoders:
    """Decodes streams one after the other, in the caller's thread."""

    def __init__(self, models: StreamModels, streams: Sequence[Stream]) -> None:
        self._decoders = [StreamDecoder(models, stream) for stream in streams]

    def hyper(self, count: int) -> np.ndarray:
        """Return the symbols of the hyper-latents [B, Z count]."""
        return np.stack([decoder.hyper(count) for decoder in self._decoders])

    def step(self, tables: np.ndarray, symbols: np.ndarray) -> None:
        """Decode a step."""
        for decoder, own_tables, own_symbols in zip(self._decoders, tables, symbols, strict=True):
            decoder.step(own_tables, own_symbols)

    def finish(self) -> None:
        """Check that no data are left."""
        for decoder in self._decoders:
            decoder.finish()

    def close(self) -> None:
        """Do nothing: the decoders go with this object."""
