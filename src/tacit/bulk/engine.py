"""Engines that turn images into `.tacit` files and back, several at a time, so that a bad image costs itself alone."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from tacit import image as images
from tacit.bulk.job import BulkJob
from tacit.bulk.record import Record
from tacit.codec import Codec
from tacit.codec.threads import map_threads, thread_count
from tacit.container import check_caption
from tacit.errors import TacitError
from tacit.fileinfo import info
from tacit.finding.box_map import named_boxes
from tacit.finding.boxes import usable
from tacit.image import ConversionWarning
from tacit.image.export import to_bytes
from tacit.image.psnr import psnr

if TYPE_CHECKING:
    from tacit.finding.boxes import Box
    from tacit.image import Raster

T = TypeVar("T")


class UnusableImage(Exception):
    """An image that cannot be coded; the text says why."""


@dataclass(frozen=True)
class EngineInput:
    """A record whose image is ready to be coded."""

    record: Record
    raster: Raster | None
    """The decoded image; None where the record's image is a `.tacit` file."""
    caption: str | None
    """The caption for the encoder."""
    pixels: int
    """The number of the image's pixels, which is what coding it takes memory for."""
    boxes: tuple[Box, ...] | None = None
    """What matters in the image; None where that is to be found."""


@dataclass(frozen=True)
class EngineOutput:
    """The new bytes of an image."""

    data: bytes
    latents: str | None = None
    """A hash of the latents that were coded, where they will be verified."""


class Engine(Protocol):
    """Prepares and codes images with one model."""

    suffix: str
    """The suffix of the files that the engine makes."""

    def prepare(self, record: Record) -> EngineInput:
        """Make a record's image ready to be coded; any thread may call this.

        Raises:
            UnusableImage: The image cannot be used.
        """

    def code(self, batch: Sequence[EngineInput]) -> list[EngineOutput | UnusableImage]:
        """Code several images; only one thread at a time may call this.

        Returns:
            For each image its new bytes, or why it cannot be coded.
        """


def make_engine(job: BulkJob) -> Engine:
    """Return the engine for a job, with its model in memory.

    Raises:
        WeightsError: The model's weights cannot be used.
        InvalidInput: The job's device, text encoder or quality cannot be used.
    """
    return DecodingEngine(job) if job.decode else EncodingEngine(job)


class EncodingEngine:
    """Encodes images to `.tacit` files."""

    suffix = "tacit"

    def __init__(self, job: BulkJob) -> None:
        self.job = job
        self.codec = _codec(job)
        # Whatever is wrong with the model, its text encoder or the device is no image's fault, and comes out here.
        options = replace(job.options, keep=())  # in such an image there is nothing to be kept
        self.codec.encode(np.zeros((1, 1, 3), np.uint8), "a" if job.use_captions else None, options=options)

    def prepare(self, record: Record) -> EngineInput:
        """Decode a record's image, and choose its caption: the record's own, else the one in the image's metadata.

        Raises:
            UnusableImage: The image or the caption cannot be used.
        """
        raster = _usable(lambda: images.load(record.image or b""))
        caption = record.caption
        if not caption and self.job.options.keep_metadata:
            caption = raster.metadata.caption
        caption = _printable(caption) if caption and self.job.use_captions else None
        if caption:
            _usable(lambda: check_caption(caption))
        boxes = None if self.job.box_source is None else self._boxes(record, caption or None, raster)
        return EngineInput(record, raster, caption or None, raster.width * raster.height, boxes)

    def _boxes(self, record: Record, caption: str | None, raster: Raster) -> tuple[Box, ...]:
        """Return the boxes of an image that matter; what is none of this image costs only itself."""
        boxes = named_boxes(record.boxes, caption, raster.width, raster.height)
        inside = usable(boxes, raster.width, raster.height)
        if len(inside) < len(boxes):
            warnings.warn("a box of no size, or outside of its image, is left out", ConversionWarning, stacklevel=2)
        return inside

    def code(self, batch: Sequence[EngineInput]) -> list[EngineOutput | UnusableImage]:
        """Encode images, those of equal shape together; where that fails, one by one."""
        return _one_bad_alone(self._code, batch)

    def _code(self, batch: Sequence[EngineInput]) -> list[EngineOutput]:
        if self.job.options.keep:
            return [self._code_keeping(item) for item in batch]
        encoded = self.codec.encode_batch_latents(
            [item.raster for item in batch if item.raster is not None],
            [item.caption for item in batch],
            options=self.job.options,
            boxes_of_each=[item.boxes for item in batch],
        )
        verify = self.job.verify
        return [EngineOutput(data, hash_latents(latents) if verify else None) for data, latents in encoded]

    def _code_keeping(self, item: EngineInput) -> EngineOutput:
        """Encode an image alone, since what is to be kept is searched for in each."""
        assert item.raster is not None
        options = self.job.options if item.boxes is None else replace(self.job.options, boxes=item.boxes)
        data = self.codec.encode(item.raster, item.caption, options=options)
        return EngineOutput(data, self.latents_hash(data) if self.job.verify else None)

    def measure(self, raster: Raster, data: bytes) -> float:
        """Return the PSNR in dB between an image and what its `.tacit` file decodes to."""
        decoded = np.asarray(self.codec.decode(data, max_pixels=None).convert("RGB"))
        original = np.broadcast_to(raster.pixels, (*raster.pixels.shape[:2], 3))
        return psnr(decoded, original)

    def latents_hash(self, data: bytes) -> str:
        """Return the hash of the latents in a `.tacit` file.

        Raises:
            FileError: The file is damaged or needs a newer version.
        """
        return hash_latents(self.codec.latents(data))


class DecodingEngine:
    """Decodes `.tacit` files to images of a usual format."""

    def __init__(self, job: BulkJob) -> None:
        self.suffix = job.format
        self.threads = job.threads
        self.codec = _codec(job)

    def prepare(self, record: Record) -> EngineInput:
        """Read the header of a record's `.tacit` file, which says how much memory decoding takes.

        Raises:
            UnusableImage: The header cannot be read.
        """
        header = _usable(lambda: info(record.image or b""))
        return EngineInput(record, None, record.caption, header.width * header.height)

    def code(self, batch: Sequence[EngineInput]) -> list[EngineOutput | UnusableImage]:
        """Decode files, those of equal shape together; where that fails, one by one."""
        return _one_bad_alone(self._code, batch)

    def _code(self, batch: Sequence[EngineInput]) -> list[EngineOutput]:
        decoded = self.codec.decode_batch([item.record.image or b"" for item in batch])
        with thread_count(self.threads):
            return map_threads(lambda image: EngineOutput(to_bytes(image, self.suffix)), decoded)


def hash_latents(latents: np.ndarray) -> str:
    """Return the SHA-256 of latents, int16 [M, h, w], in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(latents).tobytes()).hexdigest()


def error_line(error: BaseException) -> str:
    """Return an error as one line of text; the name of its class comes first where the error is not one of ours."""
    text = " ".join(str(error).split())
    return text if isinstance(error, TacitError | UnusableImage) and text else f"{type(error).__name__}: {text}"


def _codec(job: BulkJob) -> Codec:
    return Codec(job.model, device=job.device, threads=job.threads, text_encoder=job.text_encoder, finder=job.finder)


def _printable(caption: str) -> str:
    """Replace control characters and halves of surrogate pairs by blanks: web captions hold such, and must not fail."""
    printable = (c if c.isprintable() else " " for c in caption)
    return " ".join("".join(printable).split())


def _usable(work: Callable[[], T]) -> T:
    try:
        return work()
    except Exception as error:  # whatever a hostile file does to a library; the image is the one thing that it costs
        raise UnusableImage(error_line(error)) from error


def _one_bad_alone(
    code: Callable[[Sequence[EngineInput]], list[EngineOutput]], batch: Sequence[EngineInput]
) -> list[EngineOutput | UnusableImage]:
    try:
        return list(code(batch))
    except Exception as error:
        if len(batch) == 1:
            return [UnusableImage(error_line(error))]
    return [result for item in batch for result in _one_bad_alone(code, [item])]
