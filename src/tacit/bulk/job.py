"""The settings of a bulk run, which are the same for each of its units."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tacit import weights
from tacit.codec.options import DEFAULT_FINDER, EncodeOptions, Target
from tacit.errors import InvalidInput
from tacit.finding import load_finder


class StorageKind(StrEnum):
    """How a data set is stored."""

    TAR = "tar"
    """Tar shards as WebDataset writes them."""
    FOLDER = "folder"
    """A folder of files."""
    PARQUET = "parquet"
    """Parquet files with a column of images."""


class BoxSource(StrEnum):
    """Where boxes of what matters in each image come from."""

    LIST = "list"
    """A list of the boxes of many images."""
    SIDECARS = "sidecars"
    """The `.json` beside each image, which has them under "boxes"."""


@dataclass(frozen=True, kw_only=True)
class BulkJob:
    """A run's settings, as each worker gets them."""

    source: str
    """Path or URL of the data set."""
    destination: str
    """Path or URL of the output."""
    source_kind: StorageKind | None = None
    """How the source is stored; None finds out."""
    output_kind: StorageKind | None = None
    """How the output is stored; None stores it as the source is."""
    decode: bool = False
    """Whether to decode `.tacit` files to `format`, instead of encoding images."""
    options: EncodeOptions = field(default_factory=EncodeOptions)
    """How images are encoded; the target can be a quality only, and there can be no quality map."""
    use_captions: bool = True
    """Whether the encoder is given the captions."""
    model: str = weights.DEFAULT
    """A model's name or the path of a weights file."""
    text_encoder: str | None = None
    """The name of a text encoder; None for the model's own."""
    finder: str = DEFAULT_FINDER
    """The name of what finds what captions name."""
    box_source: BoxSource | None = None
    """Where boxes come from, to which images are steered in place of what is found; None finds."""
    format: str = "png"
    """The format of decoded images."""
    image_column: str | None = None
    """The column of images in Parquet files; None finds out."""
    caption_column: str | None = None
    """The column of captions in Parquet files; None finds out."""
    shard_size: int = 1000
    """The number of record keys of a folder that are one unit, and become one shard."""
    device: str = "cpu"
    """The device of each worker's model, such as "cpu" or "cuda"."""
    threads: int = 1
    """The number of threads of each worker."""
    psnr_every: int = 64
    """One image of this many is decoded, to measure its PSNR."""
    verify: bool = False
    """Whether each shard is read back and its latents are compared with those that were coded."""

    def __post_init__(self) -> None:
        options = self.options
        if options.target != Target(quality=options.quality) or options.quality_map is not None:
            raise InvalidInput("a data set must be encoded at one quality, without size, bpp, psnr or a quality map")
        if options.boxes is not None:
            raise InvalidInput("a data set must be encoded without boxes, which all its images would share")
        if self.verify and self.decode:
            raise InvalidInput("verify must be off when decoding: it compares latents of .tacit files that are written")
        if self.box_source is not None and self.decode:
            raise InvalidInput("boxes must not be given when decoding: they are for the encoder")
        for name in ("shard_size", "threads", "psnr_every"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} must be at least 1, got {getattr(self, name)}")

    def settings(self) -> dict[str, Any]:
        """Return what decides the contents of the destination besides those of the source.

        The manifest keeps these settings under these names; a second run into the same destination must have the same.
        """
        settings: dict[str, Any] = {"decode": self.decode, "kind": self.source_kind, "to": self.output_kind}
        weights_hash = weights.describe(weights.locate(self.model)).decode_hash.hex()
        if self.decode:
            settings["format"] = self.format
        else:
            settings |= {
                "quality": self.options.quality,
                "use_captions": self.use_captions,
                "store_caption": self.options.store_caption,
                "keep_metadata": self.options.keep_metadata,
                "text_encoder": self.text_encoder,
                "weights": weights_hash,
            }
            if self.options.steer is not None:
                settings["steer"] = self.options.steer
            if self.box_source is not None:
                settings["boxes"] = str(self.box_source)
            elif self.use_captions and self.options.steer != 0:
                settings["finder"] = dict(load_finder(self.finder).settings)
            if self.options.effort:
                settings["effort"] = self.options.effort
            if self.options.keep:
                settings["keep"] = [str(keep) for keep in self.options.keep]
                settings["best_effort"] = self.options.best_effort
                settings["finder"] = dict(load_finder(self.finder).settings)
        if self.source_kind == StorageKind.PARQUET:
            settings |= {"image_column": self.image_column, "caption_column": self.caption_column}
        return settings
