"""The work of `/v1`: encoding, decoding, and reading a file's header."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tacit.codec.keep import KeptBox
from tacit.codec.options import EncodeOptions
from tacit.fileinfo import FileInfo, info
from tacit.image.export import to_bytes
from tacit.web.jobs.uploads import load_upload
from tacit.web.jobs.warning_messages import collected_messages
from tacit.web.workers.codecs import worker_codec

if TYPE_CHECKING:
    from tacit.codec import Codec


@dataclass(frozen=True, kw_only=True)
class EncodeArguments:
    """Everything that decides on an encoding but the image."""

    caption: str | None = None
    options: EncodeOptions = field(default_factory=EncodeOptions)
    word_weights: bool = False
    """Whether names and rare nouns of the caption count for more, as of `tacit.Codec`."""
    model: str | None = None
    """The path of a weights file; None for the service's own model."""

    def codec(self) -> Codec:
        """Return the worker's codec for this model."""
        return worker_codec(self.model, word_weights=self.word_weights)


@dataclass(frozen=True, kw_only=True)
class EncodeReply:
    """A `.tacit` file and what is known of it."""

    data: bytes
    width: int
    height: int
    quality: float | None  # None for fixed-rate weights
    bpp: float  # bits of the whole file per pixel
    psnr: float | None  # in dB, if a PSNR was the target
    found: tuple[str, ...]  # what of the caption was found, where it steers
    missed: tuple[str, ...]  # and what was not
    kept: tuple[KeptBox, ...]  # what was to be kept, as far as it was found
    kept_bytes: int | None  # that this costs
    warnings: tuple[str, ...]  # about what the file could not keep


@dataclass(frozen=True)
class DecodeReply:
    """A decoded image as the bytes of a usual format."""

    data: bytes
    width: int
    height: int
    warnings: tuple[str, ...]  # about damage, and what the format could not keep


def encode(upload: bytes, arguments: EncodeArguments, pixel_limit: int) -> EncodeReply:
    """Encode an uploaded image.

    Raises:
        UnsupportedFile: The bytes are not an image of a known format.
        InvalidInput: The image is damaged, or an argument is out of range.
        ImageTooLarge: The image has more than `pixel_limit` pixels.
    """
    with collected_messages() as messages:
        raster = load_upload(upload, pixel_limit)
        result = arguments.codec().encode_result(raster, arguments.caption, options=arguments.options)
    by_boxes = arguments.options.boxes is not None  # which are found because they were given
    return EncodeReply(
        data=result.data,
        width=result.width,
        height=result.height,
        quality=result.quality,
        bpp=result.bpp,
        psnr=result.psnr,
        found=() if by_boxes or result.found is None else result.found.found,
        missed=() if by_boxes or result.found is None else result.found.missed,
        kept=result.kept,
        kept_bytes=result.kept_bytes,
        warnings=tuple(messages),
    )


def decode(
    data: bytes,
    suffix: str,
    box: tuple[int, int, int, int] | None,
    salvage: bool,
    pixel_limit: int,
    keep_metadata: bool = True,
    partial: bool = False,
    max_side: int | None = None,
) -> DecodeReply:
    """Decode a `.tacit` file to an image of another format.

    Args:
        data: The `.tacit` file.
        suffix: The format, a key of `tacit.image.formats.FORMATS`.
        box: (left, top, right, bottom) in pixels, or None for the whole image.
        salvage: Decode what is intact of a damaged file.
        pixel_limit: The largest width x height to decode.
        keep_metadata: Whether the image has the ICC profile, EXIF and XMP of the file.
        partial: Whether the end of the file may be missing.
        max_side: The most pixels along a side of the image, to which a larger one is shrunk; None to keep its size.

    Raises:
        CorruptFile: The file is damaged.
        UnsupportedFile: It is not a `.tacit` file, or of a newer version.
        MissingWeights: The weights that it names are not on this machine.
        ImageTooLarge: The image has more than `pixel_limit` pixels.
        InvalidInput: The box is not inside the image, or the format cannot hold the image.
    """
    with collected_messages() as messages:
        image = worker_codec().decode(
            data, box=box, max_side=max_side, salvage=salvage, partial=partial, max_pixels=pixel_limit
        )
        exported = to_bytes(image, suffix, keep_metadata=keep_metadata)
    return DecodeReply(exported, image.width, image.height, tuple(messages))


def describe(data: bytes) -> FileInfo:
    """Return what the header of a `.tacit` file says.

    Raises:
        CorruptFile: The file is damaged.
        UnsupportedFile: It is not a `.tacit` file, or of a newer version.
    """
    return info(data)
