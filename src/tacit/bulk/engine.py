"""Images to `.tacit` and back, several at a time, so that one bad image costs itself alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from tacit import image as images
from tacit.bulk.job import Job
from tacit.bulk.record import Record
from tacit.codec import Codec
from tacit.container import check_caption
from tacit.errors import TacitError
from tacit.evaluation.metrics import psnr
from tacit.fileinfo import info
from tacit.image.export import to_bytes

if TYPE_CHECKING:
    from tacit.image import Raster

T = TypeVar("T")


class Unusable(Exception):
    """An image that cannot be coded; the text says why."""


@dataclass(frozen=True)
class Prepared:
    """A record whose image is ready to be coded. photo: None where it is a `.tacit` file."""

    record: Record
    photo: Raster | None
    caption: str | None
    pixels: int


@dataclass(frozen=True)
class Coded:
    """An image's new bytes. latents: a hash of what was coded, where that shall be verified."""

    data: bytes
    latents: str | None = None


class Engine(Protocol):
    """suffix: of what it makes."""

    suffix: str

    def prepare(self, record: Record) -> Prepared:
        """In any thread. Raises: Unusable."""

    def code(self, batch: Sequence[Prepared]) -> list[Coded | Unusable]:
        """In one thread."""


def engine(job: Job) -> Engine:
    """With the model in memory. Raises: WeightsError, InvalidInput."""
    return Decoder(job) if job.decode else Encoder(job)


class Encoder:
    """Images to `.tacit`."""

    suffix = "tacit"

    def __init__(self, job: Job) -> None:
        self.job = job
        self.codec = _codec(job)
        # Whatever is wrong with the model, its text encoder or the device is no image's fault, and comes out here.
        self.codec.encode(np.zeros((1, 1, 3), np.uint8), "a" if job.use_captions else None, job.quality)

    def prepare(self, record: Record) -> Prepared:
        """Pixels, and the caption: the sample's own, else what the image's metadata says."""
        photo = _usable(lambda: images.load(record.image or b""))
        caption = record.caption
        if not caption and self.job.keep_metadata:
            caption = photo.metadata.caption
        caption = _clean(caption) if caption and self.job.use_captions else None
        if caption:
            _usable(lambda: check_caption(caption))
        return Prepared(record, photo, caption or None, photo.width * photo.height)

    def code(self, batch: Sequence[Prepared]) -> list[Coded | Unusable]:
        """Those of equal shape together; where that fails, one by one."""
        return _one_bad_alone(self._code, batch)

    def _code(self, batch: Sequence[Prepared]) -> list[Coded]:
        made = self.codec.encode_batch_latents(
            [p.photo for p in batch if p.photo is not None],
            [p.caption for p in batch],
            self.job.quality,
            store_caption=self.job.store_caption,
            keep_metadata=self.job.keep_metadata,
        )
        return [Coded(data, hash_latents(latents.numpy()) if self.job.verify else None) for data, latents in made]

    def measure(self, photo: Raster, data: bytes) -> float:
        """PSNR in dB of the decoded image."""
        decoded = np.asarray(self.codec.decode(data, max_pixels=None).convert("RGB"))
        original = np.broadcast_to(photo.pixels, (*photo.pixels.shape[:2], 3))
        return psnr(decoded, original)

    def latents(self, data: bytes) -> str:
        """The hash of what a file decodes to. Raises: FileError."""
        return hash_latents(self.codec.latents(data).numpy())


class Decoder:
    """`.tacit` to images of a usual format."""

    def __init__(self, job: Job) -> None:
        self.suffix = job.format
        self.codec = _codec(job)

    def prepare(self, record: Record) -> Prepared:
        """The header is read; what it says is how much memory decoding takes."""
        about = _usable(lambda: info(record.image or b""))
        return Prepared(record, None, record.caption, about.width * about.height)

    def code(self, batch: Sequence[Prepared]) -> list[Coded | Unusable]:
        """Those of equal shape together; where that fails, one by one."""
        return _one_bad_alone(self._code, batch)

    def _code(self, batch: Sequence[Prepared]) -> list[Coded]:
        decoded = self.codec.decode_batch([p.record.image or b"" for p in batch])
        return [Coded(to_bytes(image, self.suffix)) for image in decoded]


def hash_latents(latents: np.ndarray) -> str:
    """Of int16 [M, h, w]."""
    return hashlib.sha256(np.ascontiguousarray(latents).tobytes()).hexdigest()


def _codec(job: Job) -> Codec:
    return Codec(job.model, device=job.device, threads=job.threads, text_encoder=job.text_encoder)


def _clean(caption: str) -> str:
    """Web captions hold control characters and halves of surrogate pairs; the encoder is not to fail for them."""
    printable = (c if c.isprintable() else " " for c in caption)
    return " ".join("".join(printable).split())


def _usable(work: Callable[[], T]) -> T:
    try:
        return work()
    except Exception as error:  # whatever a hostile file does to a library; the image is the one thing that it costs
        raise Unusable(explained(error)) from error


def _one_bad_alone(
    code: Callable[[Sequence[Prepared]], list[Coded]], batch: Sequence[Prepared]
) -> list[Coded | Unusable]:
    try:
        return list(code(batch))
    except Exception as error:
        if len(batch) == 1:
            return [Unusable(explained(error))]
    return [one for item in batch for one in _one_bad_alone(code, [item])]


def explained(error: BaseException) -> str:
    """One line that says what went wrong."""
    text = " ".join(str(error).split())
    return text if isinstance(error, TacitError | Unusable) and text else f"{type(error).__name__}: {text}"
