"""Mosaics: two or four images side by side in one, each with a caption of its own."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tacit import files
from tacit.errors import InvalidInput
from tacit.evaluation.datasets import Dataset, DatasetImage
from tacit.evaluation.pixels import load_pixels
from tacit.study.named_regions import Box


@dataclass(frozen=True)
class Mosaic:
    """Several images of a set in one image."""

    item: DatasetImage
    """The mosaic itself, without a caption."""
    parts: tuple[str, ...]
    """The names of its images in their set."""
    boxes: tuple[Box, ...]
    """Where each of them is, in pixels."""
    captions: tuple[str, ...]
    """The caption of each of them."""


def make_mosaics(
    dataset: Dataset,
    captions: Mapping[str, str],
    counts: Mapping[int, int],
    size: tuple[int, int],
    seed: int,
    out: Path,
) -> tuple[Mosaic, ...]:
    """Draw images that have a caption, and put them side by side into mosaics, written as PNG.

    Images are scaled and cut in the middle. They stand in one row (2 images) or in two (4). An image is used again only
    when all have been used.

    Args:
        dataset: The images.
        captions: Captions by the images' names.
        counts: The number of mosaics, by the number of images in one: 2 or 4.
        size: The width and height of an image in a mosaic, in pixels.
        seed: The random seed.
        out: The folder to write to.

    Raises:
        InvalidInput: There are fewer images with a caption than a mosaic needs.
        PathError: A mosaic cannot be written.
    """
    items = [item for item in dataset.images if item.name in captions]
    rng = np.random.default_rng(seed)
    mosaics = []
    for parts, count in counts.items():
        if count and len(items) < parts:
            raise InvalidInput(
                f"{dataset.name}: a mosaic of {parts} needs {parts} images with captions, got {len(items)}"
            )
        order: list[int] = []
        for number in range(count):
            if len(order) < parts:
                order = [int(i) for i in rng.permutation(len(items))]
            chosen, order = [items[i] for i in order[:parts]], order[parts:]
            name = f"{'pair' if parts == 2 else 'quad'}-{number + 1:02}"
            mosaics.append(_make_mosaic(name, chosen, captions, size, out))
    return tuple(mosaics)


def _make_mosaic(
    name: str, items: Sequence[DatasetImage], captions: Mapping[str, str], size: tuple[int, int], out: Path
) -> Mosaic:
    width, height = size
    boxes = tuple(
        (x * width, y * height, (x + 1) * width, (y + 1) * height) for y in range(len(items) // 2) for x in range(2)
    )
    canvas = Image.new("RGB", (2 * width, len(items) // 2 * height))
    for item, box in zip(items, boxes, strict=True):
        image = Image.fromarray(load_pixels(item.path))
        canvas.paste(ImageOps.fit(image, size, Image.Resampling.LANCZOS), box[:2])
    stream = io.BytesIO()
    canvas.save(stream, "PNG")
    data = stream.getvalue()
    path = out / f"{name}.png"
    files.write(str(path), data, force=True)
    mosaic = DatasetImage(path.name, path, hashlib.sha256(data).hexdigest())
    return Mosaic(mosaic, tuple(i.name for i in items), boxes, tuple(captions[i.name] for i in items))
