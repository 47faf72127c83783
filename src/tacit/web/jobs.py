"""What workers do for requests. Arguments and results travel between processes; the codec is the worker's."""

from __future__ import annotations

import io
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from tacit import image as images
from tacit.errors import ImageTooLarge, InvalidInput, UnsupportedFile
from tacit.export import to_bytes
from tacit.fileinfo import FileInfo, info
from tacit.image import Raster
from tacit.web import worker

if TYPE_CHECKING:
    from tacit.codec import Codec, Prepared

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
"""Pillow's names of what may be uploaded. Not all that it reads: some of that runs other programs, as EPS does."""

KEPT_PIXELS = 16 << 20  # of the images that a worker keeps analysed; about 10 bytes each


@dataclass(frozen=True)
class Encoding:
    """What is asked of an encoding: as the arguments of `tacit.encode` and `tacit.Codec`. model: the path of a weights
    file; None for the service's own."""

    caption: str | None = None
    quality: float | None = None
    size: int | None = None
    bpp: float | None = None
    psnr: float | None = None
    store_caption: bool = False
    keep_metadata: bool = True
    steer: float | None = None
    word_weights: bool = False
    model: str | None = None

    def codec(self) -> Codec:
        """The worker's, for this."""
        return worker.codec(self.model, word_weights=self.word_weights, steer=self.steer)


@dataclass(frozen=True)
class Encoded:
    """A file, and what it is like; as `tacit.EncodeResult`. warnings: of what could not be kept."""

    data: bytes
    width: int
    height: int
    quality: float | None
    bpp: float
    psnr: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Decoded:
    """An image in some format. warnings: of what was damaged, or could not be kept."""

    data: bytes
    width: int
    height: int
    warnings: tuple[str, ...]


def encode(upload: bytes, asked: Encoding, pixel_limit: int) -> Encoded:
    """A photograph's bytes -> a `.tacit` file's. Raises: UnsupportedFile, InvalidInput, ImageTooLarge."""
    with told() as said:
        result = asked.codec().encode_result(
            photo(upload, pixel_limit),
            asked.caption,
            asked.quality,
            size=asked.size,
            bpp=asked.bpp,
            psnr=asked.psnr,
            store_caption=asked.store_caption,
            keep_metadata=asked.keep_metadata,
        )
    return Encoded(result.data, result.width, result.height, result.quality, result.bpp, result.psnr, tuple(said))


def decode(data: bytes, suffix: str, box: tuple[int, int, int, int] | None, salvage: bool, pixel_limit: int) -> Decoded:
    """A `.tacit` file's bytes -> an image's, in the format of a suffix of `tacit.export.FORMATS`.

    Raises: CorruptFile, UnsupportedFile, MissingWeights, ImageTooLarge, InvalidInput.
    """
    with told() as said:
        image = worker.codec().decode(data, box=box, salvage=salvage, max_pixels=pixel_limit)
        encoded = to_bytes(image, suffix)
    return Decoded(encoded, image.width, image.height, tuple(said))


def describe(data: bytes) -> FileInfo:
    """What a `.tacit` file says of itself. Raises: CorruptFile, UnsupportedFile."""
    return info(data)


def reduced(upload: bytes, side: int, pixel_limit: int) -> bytes:
    """A photograph as a PNG of at most `side` x `side` pixels, colours only. Raises: as `encode`."""
    with told():
        found = replace(photo(upload, pixel_limit), alpha=None)
    image = images.to_pil(found).convert("RGB")
    image.thumbnail((side, side))
    image.info.clear()
    return to_bytes(image, "png")


def photo(upload: bytes, pixel_limit: int) -> Raster:
    """The photograph in an upload; its size is checked before its pixels are decoded.

    Raises: UnsupportedFile, InvalidInput, ImageTooLarge.
    """
    Image.init()  # Pillow looks into the plugins that are loaded, and would load some of these too late
    try:
        opened = Image.open(io.BytesIO(upload), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnsupportedFile(f"not an image of a known format ({', '.join(FORMATS)})") from error
    except Exception as error:  # Pillow's readers answer damage with errors of many kinds
        raise InvalidInput(f"damaged image ({error})") from error
    with opened:
        width, height = opened.size
        if width * height > pixel_limit:
            raise ImageTooLarge(f"{width} x {height} = {width * height} pixels, the limit is {pixel_limit}")
        return images.from_pil(opened, name="image")


class Kept:
    """The images that a worker has lately been asked for, analysed; the oldest go where they are too many pixels."""

    def __init__(self, pixels: int = KEPT_PIXELS) -> None:
        self._limit = pixels
        self._prepared: OrderedDict[tuple[str, Encoding], Prepared] = OrderedDict()

    def prepared(self, upload: bytes, digest: str, asked: Encoding, pixel_limit: int) -> Prepared:
        """An upload and its caption, ready to be encoded at any quality; that of `asked` says nothing here. digest: of
        the upload. Raises: as `photo`."""
        asked = replace(asked, quality=None, size=None, bpp=None, psnr=None)
        key = digest, asked
        found = self._prepared.pop(key, None)
        if found is None:
            known = (other.raster for (of, *_), other in self._prepared.items() if of == digest)
            source = next(known, None) or photo(upload, pixel_limit)
            found = asked.codec().prepare(
                source, asked.caption, store_caption=asked.store_caption, keep_metadata=asked.keep_metadata
            )
        self._prepared[key] = found
        while sum(one.raster.width * one.raster.height for one in self._prepared.values()) > self._limit:
            self._prepared.popitem(last=False)
        return found


kept = Kept()
"""This worker's."""


@contextmanager
def told() -> Iterator[list[str]]:
    """Collects the messages of warnings."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield said
        said += [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
