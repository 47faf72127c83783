"""Mosaics: two or four photos in one picture, each with a caption of its own."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tacit import files
from tacit.errors import InvalidInput
from tacit.evaluation.datasets import Dataset, Item
from tacit.evaluation.runner import load_pixels
from tacit.study.regions import Box


@dataclass(frozen=True)
class Mosaic:
    """item: its picture, without a caption. photos: names in their set; boxes and captions in the same order."""

    item: Item
    photos: tuple[str, ...]
    boxes: tuple[Box, ...]
    captions: tuple[str, ...]


def mosaics(
    dataset: Dataset,
    captions: Mapping[str, str],
    counts: Mapping[int, int],
    size: tuple[int, int],
    seed: int,
    out: Path,
) -> tuple[Mosaic, ...]:
    """Photos that have a caption, scaled and cut in the middle to `size` (width, height), side by side in one row (2)
    or in two (4), written to `out` as PNG.

    counts: mosaics by their number of photos. A photo comes again only when all have been.

    Raises: InvalidInput, for fewer photos than a mosaic needs; PathError.
    """
    items = [item for item in dataset.items if item.name in captions]
    rng = np.random.default_rng(seed)
    found = []
    for photos, count in counts.items():
        if count and len(items) < photos:
            raise InvalidInput(f"{dataset.name}: {len(items)} photos with captions, a mosaic needs {photos}")
        order: list[int] = []
        for number in range(count):
            if len(order) < photos:
                order = [int(i) for i in rng.permutation(len(items))]
            chosen, order = [items[i] for i in order[:photos]], order[photos:]
            name = f"{'pair' if photos == 2 else 'quad'}-{number + 1:02}"
            found.append(_mosaic(name, chosen, captions, size, out))
    return tuple(found)


def _mosaic(name: str, items: list[Item], captions: Mapping[str, str], size: tuple[int, int], out: Path) -> Mosaic:
    width, height = size
    boxes = tuple(
        (x * width, y * height, (x + 1) * width, (y + 1) * height) for y in range(len(items) // 2) for x in range(2)
    )
    picture = Image.new("RGB", (2 * width, len(items) // 2 * height))
    for item, box in zip(items, boxes, strict=True):
        photo = Image.fromarray(load_pixels(item.path))
        picture.paste(ImageOps.fit(photo, size, Image.Resampling.LANCZOS), box[:2])
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    data = stream.getvalue()
    path = out / f"{name}.png"
    files.write(str(path), data, force=True)
    item = Item(path.name, path, hashlib.sha256(data).hexdigest())
    return Mosaic(item, tuple(i.name for i in items), boxes, tuple(captions[i.name] for i in items))
