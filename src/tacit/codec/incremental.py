"""Decoding a file while its bytes arrive."""

from __future__ import annotations

from PIL import Image

from tacit import container
from tacit.codec.codec import Codec
from tacit.container import MAX_PIXELS, Header


class IncrementalDecoder:
    """Decodes a file whose bytes come piece by piece.

        decoder = tacit.IncrementalDecoder()
        for piece in response:
            decoder.feed(piece)
            image = decoder.image()     # None until there is something to show; then finer and finer
        image = decoder.close()         # the whole image, verified

    Each call of `image` decodes what is there, which takes as long as decoding the file: a viewer calls it now and
    then.

    Args:
        codec: What decodes; a new one if not given.
        max_pixels: A limit on width x height; None for none.
    """

    def __init__(self, codec: Codec | None = None, *, max_pixels: int | None = MAX_PIXELS) -> None:
        self._codec = Codec() if codec is None else codec
        self._max_pixels = max_pixels
        self._data = bytearray()
        self._header: Header | None = None
        self._front: int | None = None
        self._shown: tuple[int, Image.Image] | None = None

    def feed(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes.

        Raises:
            CorruptFile: What has arrived before the first region is damaged.
            UnsupportedFile: It is no `.tacit` file, or its version of the format is newer than this tacit.
            ImageTooLarge: The image has more pixels than the limit.
        """
        self._data += piece
        if self._front is None:
            self._front = container.front_size(self._data)
            if self._front is not None:
                # the first region has begun, or what has arrived is no file
                file = container.read(self._data, partial=True, max_pixels=self._max_pixels)
                self._header = file.header

    @property
    def size(self) -> tuple[int, int] | None:
        """The width and the height of the image in pixels; None until they are known."""
        return None if self._header is None else (self._header.width, self._header.height)

    @property
    def received(self) -> int:
        """How many bytes have arrived."""
        return len(self._data)

    def image(self) -> Image.Image | None:
        """Return the image that the bytes give so far; None until the first region has begun.

        Raises:
            TacitError: As for `Codec.decode`; a file that goes on after its end is damaged.
        """
        if self._front is None:
            return None
        if self._shown is None or self._shown[0] != len(self._data):
            image = self._codec.decode(bytes(self._data), partial=True, max_pixels=self._max_pixels)
            self._shown = len(self._data), image
        return self._shown[1]

    def close(self) -> Image.Image:
        """Return the image of the whole file, every byte of it verified.

        Raises:
            TacitError: As for `Codec.decode`: bytes are missing, or damaged.
        """
        return self._codec.decode(bytes(self._data), max_pixels=self._max_pixels)
