"""The source of a run's images, as its configuration names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tacit.errors import InvalidInput
from tacit.training.config import DataConfig
from tacit.training.dataset.bundle import read_bundle
from tacit.training.dataset.image_files import read_coco, read_folder, read_list
from tacit.training.dataset.pool import ImagePool, open_pool
from tacit.training.dataset.samples import ImageSource


def open_images(data: DataConfig) -> ImageSource:
    """Open the images of any kind of data but shards.

    Raises:
        PathError: A file or folder cannot be read.
        InvalidInput: A key is missing, or what is at the path is not of that kind.
        MissingExtra: scikit-image, which has the demo's images, is not installed.
    """
    path = Path(data.path)
    if data.kind == "samples":
        return demo_images()
    if not data.path:
        raise InvalidInput(f"data.path must be given with data.kind {data.kind}")
    if data.kind == "pool":
        return open_pool(path, in_memory=data.in_memory)
    if data.kind == "prepared":
        return read_bundle(path)
    if data.kind == "folder":
        return read_folder(path)
    if data.kind == "jsonl":
        return read_list(path, Path(data.captions) if data.captions else None)
    if not data.captions:
        raise InvalidInput("data.captions must be given with data.kind coco: the captions' JSON file")
    return read_coco(path, Path(data.captions))


def demo_images() -> ImagePool:
    """Return the images and captions of the demo.

    Raises:
        MissingExtra: scikit-image, which has the images, is not installed.
    """
    from tacit.demo.samples import SAMPLES, sample_image

    return ImagePool.of((np.asarray(sample_image(s.name)), (s.caption,)) for s in SAMPLES)
