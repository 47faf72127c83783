"""Images in files of their own, with their captions: a folder, a list, or COCO."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tacit.captions import read_caption_entries
from tacit.captions.caption_value import usable_texts
from tacit.captions.sidecar import sidecar_captions
from tacit.errors import InvalidInput, PathError
from tacit.files.walking import walk
from tacit.image import from_pil, readable_suffixes
from tacit.image.reading import open_image


class BadImage(Exception):
    """An image that training skips and counts: it cannot be read, or it is smaller than a crop."""


@dataclass(frozen=True)
class ImageFiles:
    """Images that are decoded each time they are asked for."""

    paths: tuple[Path, ...]
    """The images' files."""

    captions: tuple[tuple[str, ...], ...]
    """The captions of each image: none, one or several."""

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Return what messages call an image."""
        return str(self.paths[index])

    def crop(self, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """Decode an image and cut a random crop [size, size, 3] uint8, mirrored half of the time.

        Raises:
            BadImage: The image cannot be read, or is smaller than the crop.
        """
        return random_crop(decode_image(self.paths[index]), size, rng)


def decode_image(source: str | os.PathLike[str] | BinaryIO) -> np.ndarray:
    """Decode an image to [H, W, 3] uint8, as the encoder would see it, but without alpha.

    Raises:
        BadImage: The image cannot be read.
    """
    try:
        # One name for all: a warning is then shown once, and not for each image of a data set.
        file = os.fspath(source) if isinstance(source, str | os.PathLike) else source
        with open_image(file, "image") as image:
            pixels = from_pil(image, name="image").pixels
        return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    except (Warning, MemoryError):
        raise
    except Exception as error:  # Pillow's readers share no base class of errors; a damaged AVIF is a RuntimeError
        raise BadImage(str(error) or type(error).__name__) from error


def random_crop(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a random crop [size, size, 3] from an image [H, W, 3], mirrored half of the time.

    Raises:
        BadImage: The image is smaller than the crop.
    """
    height, width = image.shape[:2]
    check_size(width, height, size)
    top = rng.integers(height - size + 1)
    left = rng.integers(width - size + 1)
    crop = image[top : top + size, left : left + size]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def check_size(width: int, height: int, size: int) -> None:
    """Check that an image is large enough for a crop of `size` pixels.

    Raises:
        BadImage: A side of the image is shorter.
    """
    if min(width, height) < size:
        raise BadImage(f"the image must be {size}x{size} pixels or larger, got {width}x{height}")


def read_folder(path: Path) -> ImageFiles:
    """List all images in a folder and below, in the order of their names, with their sidecars' captions.

    Raises:
        PathError: There is no such folder, or a sidecar cannot be read.
        InvalidInput: The folder has no images.
    """
    if not path.is_dir():
        raise PathError(f"{path}: no such folder")
    suffixes = readable_suffixes()
    found = (Path(parent, name) for parent, names in walk(str(path), hidden=False) for name in names)
    images = sorted(image for image in found if image.suffix.lower() in suffixes)
    return _image_files(path, images, [sidecar_captions(image) for image in images])


def read_list(path: Path, root: Path | None = None) -> ImageFiles:
    """Read a list of images and captions (`tacit.captions.read_caption_entries`).

    Args:
        path: The list.
        root: The folder of the images; by default the list's own folder.

    Raises:
        PathError: The list cannot be read.
        InvalidInput: The file is no such list, or is empty.
    """
    entries = read_caption_entries(path, captions_required=False)
    return _image_files(path, [(root or path.parent) / e.file for e in entries], [e.captions for e in entries])


def read_coco(images: Path, annotations: Path) -> ImageFiles:
    """Read the captions of COCO.

    Args:
        images: The folder of images, such as train2014.
        annotations: The captions' JSON file, such as captions_train2014.json.

    Raises:
        PathError: The JSON file cannot be read.
        InvalidInput: It is not a captions file of COCO, or has no images.
    """
    try:
        content: Mapping[str, Any] = json.loads(_text(annotations))
        names = {row["id"]: row["file_name"] for row in content["images"]}
        captions: dict[int, list[str]] = {key: [] for key in names}
        for row in content["annotations"]:
            captions[row["image_id"]] += [text.strip() for text in usable_texts([row["caption"]])]
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise InvalidInput(f"{annotations}: not a captions file of COCO ({type(error).__name__}: {error})") from error
    order = sorted(names)
    return _image_files(annotations, [images / names[key] for key in order], [tuple(captions[key]) for key in order])


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PathError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _image_files(source: Path, paths: list[Path], captions: list[tuple[str, ...]]) -> ImageFiles:
    if not paths:
        raise InvalidInput(f"{source}: no images")
    return ImageFiles(tuple(paths), tuple(captions))
