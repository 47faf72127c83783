"""`Codec.decode`, with a small model and a limit on pixels."""

from __future__ import annotations

import tempfile
import warnings
import zlib
from functools import cache
from pathlib import Path

from fuzz import tacit_files
from support.tiny_models import tiny_model, write_weights
from tacit import container
from tacit.codec import Codec
from tacit.errors import FileError, ImageTooLarge, MissingWeights

MAX_PIXELS = 1 << 14
_FOLDER = tempfile.TemporaryDirectory()  # of the small model's weights

mutate = tacit_files.mutate


@cache
def codec() -> Codec:
    """Return a codec of a small model, the same on every machine."""
    return Codec(write_weights(Path(_FOLDER.name) / "tiny.safetensors", tiny_model()), threads=1)


def check(data: bytes) -> None:
    """Decode a file, some with salvage or as a beginning; the image must be of the size and mode in the header."""
    way = zlib.crc32(data) % 3
    salvage, partial = way == 1, way == 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = codec().decode(data, salvage=salvage, partial=partial, max_pixels=MAX_PIXELS)
        except (FileError, ImageTooLarge, MissingWeights):
            return
    header = container.read(data, salvage=salvage, partial=partial).header
    assert (image.size, image.mode) == ((header.width, header.height), header.channels)
