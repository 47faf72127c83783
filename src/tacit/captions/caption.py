"""An image's caption and its origin: an argument, a caption map, a sidecar or the image's metadata."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from tacit.captions.caption_map import CaptionMap
from tacit.captions.caption_text import check_caption
from tacit.captions.sidecar import read_sidecar
from tacit.image import Raster

Origin = Literal["given", "map", "sidecar", "metadata"]


@dataclass(frozen=True)
class Caption:
    """A caption that is ready to use."""

    text: str
    """Not empty, without blanks around it and control characters, at most 65,535 bytes of UTF-8."""
    origin: Origin


def find_caption(
    path: str | os.PathLike[str] | None,
    raster: Raster | None = None,
    *,
    caption: str | None = None,
    caption_map: CaptionMap | None = None,
    use_metadata: bool = True,
) -> Caption | None:
    """Return an image's caption from the first source that has one, in the order of `Origin`.

    Args:
        path: The image's path; None where it has none, as from a pipe.
        raster: The image, for the caption in its metadata.
        caption: A caption that was passed outright. An empty one means that the image has no caption; no other source
            is then looked at. Empty captions of other sources are passed over.
        caption_map: Captions of many images.
        use_metadata: Whether to look into the image's metadata.

    Raises:
        InvalidInput: The caption is too long or has control characters.
        PathError: The sidecar cannot be read.
    """
    if caption is not None:
        text = check_caption(caption)
        return Caption(text, "given") if text else None
    if path is not None:
        if caption_map is not None and (text := check_caption(caption_map.find(path) or "", caption_map.name)):
            return Caption(text, "map")
        if sidecar := read_sidecar(path):
            return Caption(sidecar, "sidecar")
    if raster is not None and use_metadata and (text := check_caption(raster.metadata.caption or "", "metadata")):
        return Caption(text, "metadata")
    return None
