"""The images that a run is validated on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from tacit.errors import InvalidInput
from tacit.training.dataset.image_files import BadImage, decode_image, read_folder, read_list
from tacit.training.dataset.sources import demo_images

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ValidationImage:
    """One image."""

    name: str
    """What messages and TensorBoard call the image."""

    pixels: np.ndarray
    """[H, W, 3] uint8."""

    caption: str | None
    """The image's first caption."""


def read_validation_images(source: str, count: int) -> list[ValidationImage]:
    """Read at most `count` images; those that cannot be read are named in the log.

    Args:
        source: `samples` for the demo's images, a folder, or a JSONL list.
        count: How many images there are at most.

    Raises:
        PathError: The folder or the list cannot be read.
        InvalidInput: None of the images can be read.
        MissingExtra: scikit-image, which has the demo's images, is not installed.
    """
    if source == "samples":
        pool = demo_images()
        return [ValidationImage(pool.name(i), pool.image(i), pool.captions[i][0]) for i in range(min(count, len(pool)))]
    images = list(islice(_readable(Path(source)), count))
    if not images:
        raise InvalidInput(f"validation.images {source}: none of the images can be read")
    return images


def _readable(path: Path) -> Iterator[ValidationImage]:
    files = read_list(path) if path.suffix == ".jsonl" else read_folder(path)
    for file, captions in zip(files.paths, files.captions, strict=True):
        try:
            pixels = decode_image(file)
        except BadImage as error:
            log.warning("validation goes without %s: %s", file, error)
            continue
        yield ValidationImage(file.stem, pixels, captions[0] if captions else None)
