"""Photos in files of their own, with their captions: a folder, a JSONL list, or COCO."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps

from tacit.captions import read_caption_list, read_sidecar
from tacit.errors import InvalidInput, PathError
from tacit.files import IMAGE_SUFFIXES

log = logging.getLogger(__name__)


class BadImage(Exception):
    """An image that training skips and counts: unreadable, or smaller than a crop."""


@dataclass(frozen=True)
class ImageFiles:
    """Photos that are decoded when they are asked for. captions: of each, none, one or several."""

    paths: tuple[Path, ...]
    captions: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """What a message calls the photo."""
        return str(self.paths[index])

    def crop(self, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """A random [size, size, 3] crop, mirrored half of the time. Raises: BadImage."""
        return random_crop(decode(self.paths[index]), size, rng)


def decode(source: str | os.PathLike[str] | BinaryIO) -> np.ndarray:
    """A photo as it is meant to be seen: [H, W, 3] uint8, by its EXIF orientation. Raises: BadImage."""
    try:
        with Image.open(source) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (Warning, MemoryError):
        raise
    except Exception as error:  # Pillow's readers have no base of their errors; a damaged AVIF is a RuntimeError
        raise BadImage(str(error) or type(error).__name__) from error


def random_crop(photo: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A [size, size, 3] part of photo [H, W, 3], mirrored half of the time. Raises: BadImage, where it is smaller."""
    height, width = photo.shape[:2]
    if min(height, width) < size:
        raise BadImage(f"{width}x{height} pixels, less than a crop of {size}")
    top = rng.integers(height - size + 1)
    left = rng.integers(width - size + 1)
    crop = photo[top : top + size, left : left + size]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def read_folder(path: Path) -> ImageFiles:
    """All images in a folder and below, in the order of their names; photo.txt is the caption of photo.jpg.

    Raises: PathError, InvalidInput.
    """
    if not path.is_dir():
        raise PathError(f"{path}: no such folder")
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    return _some(path, found, [_sidecar_captions(image) for image in found])


def _sidecar_captions(image: Path) -> tuple[str, ...]:
    try:
        text = read_sidecar(image)
    except InvalidInput as error:  # one bad caption in a large folder must not end a run
        log.warning("%s; the image is used without a caption", error)
        return ()
    return (text,) if text else ()


def read_jsonl(path: Path, root: Path | None = None) -> ImageFiles:
    """Read a list of images and captions (`tacit.captions.read_caption_list`).

    root: where the files are; the list's own folder if not given. Raises: PathError, InvalidInput.
    """
    entries = read_caption_list(path, captions_required=False)
    return _some(path, [(root or path.parent) / e.file for e in entries], [e.captions for e in entries])


def read_coco(images: Path, annotations: Path) -> ImageFiles:
    """COCO: a folder of images and the captions' JSON (such as train2014 and captions_train2014.json).

    Raises: PathError, InvalidInput.
    """
    try:
        about: Mapping[str, Any] = json.loads(_text(annotations))
        names = {row["id"]: row["file_name"] for row in about["images"]}
        captions: dict[int, list[str]] = {key: [] for key in names}
        for row in about["annotations"]:
            captions[row["image_id"]].append(row["caption"].strip())
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise InvalidInput(f"{annotations}: not a captions file of COCO ({type(error).__name__}: {error})") from error
    order = sorted(names)
    return _some(annotations, [images / names[key] for key in order], [tuple(captions[key]) for key in order])


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PathError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _some(source: Path, paths: list[Path], captions: list[tuple[str, ...]]) -> ImageFiles:
    if not paths:
        raise InvalidInput(f"{source}: no images")
    return ImageFiles(tuple(paths), tuple(captions))
