"""The conversion of single files on disk: an image to a `.tacit` file, and a `.tacit` file to an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tacit import files
from tacit.batch import Record
from tacit.container import beginning
from tacit.files import STDIO, Task

if TYPE_CHECKING:
    from tacit.captions import CaptionMap
    from tacit.codec import Box, Codec, EncodeOptions
    from tacit.finding.box_map import BoxMap


@dataclass(frozen=True, kw_only=True)
class FileEncoder:
    """Encodes images into `.tacit` files, each with the caption that it has."""

    codec: Codec
    """The codec that encodes."""
    options: EncodeOptions
    """How the images are encoded. A caption in an image's metadata is used only if the metadata are kept."""
    caption: str | None = None
    """The caption of every image; None to look for each image's own."""
    caption_map: CaptionMap | None = None
    """Captions of many images, which precede sidecars and metadata."""
    box_map: BoxMap | None = None
    """Boxes of what matters in many images, in place of what is found."""
    use_captions: bool = True
    """Whether images are encoded with captions."""
    force: bool = False
    """Whether files that exist are overwritten."""
    progress: Callable[[Task, float], None] | None = None
    """Told how much of a file's refinement is done, up to 1, where effort is above 0. What it raises ends the work."""

    def __call__(self, task: Task) -> Record:
        """Encode an image, write the file, and return what it has become.

        Raises:
            InvalidInput: The image or its caption cannot be used, or a target cannot be reached.
            PathError: The image cannot be read, or the file cannot be written.
        """
        from tacit.captions import find_caption
        from tacit.image import load

        piped = task.source == STDIO
        image = load(files.read(STDIO) if piped else task.source)
        caption = None
        if self.use_captions:
            caption = find_caption(
                None if piped else task.source,
                image,
                caption=self.caption,
                caption_map=self.caption_map,
                use_metadata=self.options.keep_metadata,
            )
        text = caption.text if caption else None
        options = self.options
        if self.box_map is not None and not piped:
            boxes = self.box_map.find(task.source, text, image.width, image.height)
            options = replace(options, boxes=boxes)
        progress = None if self.progress is None else partial(self.progress, task)
        result = self.codec.encode_result(image, text, options=options, progress=progress)
        files.write(task.output, result.data, force=self.force)
        kept = {"kept": [one.described() for one in result.kept], "kept_bytes": result.kept_bytes}
        return {
            "width": result.width,
            "height": result.height,
            "bytes": len(result.data),
            "bpp": result.bpp,
            "quality": result.quality,
            "psnr": result.psnr,
            "caption": caption and caption.text,
            "caption_from": caption and caption.origin,
            "found": None if result.found is None else result.found.found,
            "missed": None if result.found is None else result.found.missed,
            **({"unsure": result.found.unsure} if result.found is not None and result.found.unsure else {}),
            **({"hint": result.found.hint} if result.found is not None and result.found.hint else {}),
            **(kept if result.kept else {}),
        }


@dataclass(frozen=True, kw_only=True)
class FileDecoder:
    """Decodes `.tacit` files into images of one format."""

    codec: Codec
    """The codec that decodes."""
    format: str
    """The images' format, by its suffix without the dot, such as "png"."""
    box: Box | None = None
    """The part of the images to decode, as (left, top, right, bottom) in pixels; None for all."""
    max_side: int | None = None
    """The most pixels along a side of the images, to which larger ones are shrunk; None to keep their size."""
    salvage: bool = False
    """Whether the intact parts of a damaged file are decoded, with a warning, instead of raising an error."""
    preview: float | None = None
    """How much of each file is decoded, up to 1; None for whole files, whose end must not be missing."""
    keep_metadata: bool = True
    """Whether the images have the files' ICC profiles, EXIF and XMP; without, their colours become sRGB."""
    force: bool = False
    """Whether files that exist are overwritten."""

    def __call__(self, task: Task) -> Record:
        """Decode a file, write the image, and return what it has become.

        Raises:
            FileError: The file is damaged, or is not one that this version reads.
            WeightsError: The weights that the file names are not on this machine.
            PathError: The file cannot be read, or the image cannot be written.
            InvalidInput: The box is not in the image, or the format cannot hold the image.
        """
        from tacit.image.export import to_bytes

        data = files.read(task.source)
        options: dict[str, Any] = {} if self.preview is None else {"partial": True}
        if self.max_side is not None:
            options["max_side"] = self.max_side
        if self.preview is not None:
            data = bytes(beginning(data, self.preview))
        image = self.codec.decode(data, box=self.box, salvage=self.salvage, **options)
        exported = to_bytes(image, self.format, keep_metadata=self.keep_metadata)
        files.write(task.output, exported, force=self.force)
        return {
            "width": image.width,
            "height": image.height,
            "mode": image.mode,
            "bytes": len(exported),
            "caption": image.info.get("caption"),
        }
