"""What a run does, the same for each of its units."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from tacit import weights
from tacit.errors import InvalidInput


class Kind(StrEnum):
    """How a data set is stored: tar shards as WebDataset has them, a folder of files, or Parquet files."""

    TAR = "tar"
    FOLDER = "folder"
    PARQUET = "parquet"


@dataclass(frozen=True)
class Job:
    """A run's settings, as each worker gets them.

    source, destination: paths or URLs. kind: of the source, None to find out; to: of the destination, None for the
    source's. decode: from `.tacit` to `format` instead. quality: 0..100, None for the default or fixed-rate weights.
    image_column, caption_column: of Parquet files, None to find out. shard_size: images of a shard that is made from a
    folder. threads: of each worker. psnr_every: one image of so many is decoded to be measured. verify: read each
    shard back, and compare its latents with those that were coded.
    """

    source: str
    destination: str
    kind: Kind | None = None
    to: Kind | None = None
    decode: bool = False
    quality: float | None = None
    use_captions: bool = True
    store_caption: bool = False
    keep_metadata: bool = True
    model: str = weights.DEFAULT
    text_encoder: str | None = None
    format: str = "png"
    image_column: str | None = None
    caption_column: str | None = None
    shard_size: int = 1000
    device: str = "cpu"
    threads: int = 1
    psnr_every: int = 64
    verify: bool = False

    def __post_init__(self) -> None:
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise InvalidInput(f"quality {self.quality}: 0 to 100 are possible")
        if self.verify and self.decode:
            raise InvalidInput("verifying compares the latents of .tacit files; decoding writes none")
        for name in ("shard_size", "threads", "psnr_every"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} {getattr(self, name)}: at least 1 is needed")

    def settings(self) -> dict[str, Any]:
        """What the contents of the destination follow from, beside the source's: a second run must have the same."""
        of_encoding = ("quality", "use_captions", "store_caption", "keep_metadata", "text_encoder")
        kept = ("decode", "kind", "to", *(("format",) if self.decode else of_encoding))
        weights_hash = weights.describe(weights.locate(self.model)).decode_hash.hex()
        about = asdict(self)
        return {
            **{name: about[name] for name in kept},
            **({} if self.decode else {"weights": weights_hash}),
            **({n: about[n] for n in ("image_column", "caption_column")} if self.kind == Kind.PARQUET else {}),
        }
