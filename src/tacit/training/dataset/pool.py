"""A pool of decoded images in one memory-mapped file, from which crops are cut without decoding again."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tacit import files
from tacit.errors import InvalidInput, PathError
from tacit.machine import cores
from tacit.training.dataset.image_files import BadImage, ImageFiles, check_size, decode_image, random_crop

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImagePool:
    """Decoded images, one behind the other."""

    pixels: np.ndarray
    """The pixels of all images, flat uint8: each image is row-major RGB."""

    offsets: np.ndarray
    """Where each image begins in `pixels` [N]."""

    shapes: np.ndarray
    """Height and width of each image [N, 2]."""

    captions: tuple[tuple[str, ...], ...]
    """The captions of each image: none, one or several."""

    @staticmethod
    def of(images: Iterable[tuple[np.ndarray, tuple[str, ...]]]) -> ImagePool:
        """Make a pool in memory of images [H, W, 3] uint8 and their captions.

        Raises:
            InvalidInput: There are no images.
        """
        arrays, captions = [], []
        for image, texts in images:
            arrays.append(image)
            captions.append(texts)
        if not arrays:
            raise InvalidInput("a pool must have one image or more, got none")
        shapes = np.array([a.shape[:2] for a in arrays], dtype=np.int64)
        return ImagePool(np.concatenate([a.reshape(-1) for a in arrays]), _offsets(shapes), shapes, tuple(captions))

    def __len__(self) -> int:
        return len(self.shapes)

    def name(self, index: int) -> str:
        """Return what messages call an image."""
        return f"image {index} of the pool"

    def image(self, index: int) -> np.ndarray:
        """Return an image [H, W, 3] uint8, as a view."""
        height, width = self.shapes[index]
        start = self.offsets[index]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    def crop(self, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """Cut a random crop [size, size, 3] uint8 from an image, mirrored half of the time.

        Raises:
            BadImage: The image is smaller than the crop.
        """
        return random_crop(self.image(index), size, rng)

    def place(self, index: int, size: int, rng: np.random.Generator) -> tuple[int, int, bool]:
        """Draw where `crop` would cut, without cutting.

        Returns:
            The position of the crop's first value in `pixels`, values per row of the image, and whether the crop is
            mirrored.

        Raises:
            BadImage: The image is smaller than the crop.
        """
        height, width = (int(side) for side in self.shapes[index])
        check_size(width, height, size)
        top = int(rng.integers(height - size + 1))
        left = int(rng.integers(width - size + 1))
        return int(self.offsets[index]) + (top * width + left) * 3, width * 3, bool(rng.random() < 0.5)


def cut_crops(pixels: Tensor, places: Tensor, size: int) -> Tensor:
    """Cut crops from a pool's pixels, on the device that these are on.

    Args:
        pixels: `ImagePool.pixels`, flat uint8.
        places: [B, 3] int64, rows as `ImagePool.place` returns them.
        size: Height and width of the crops.

    Returns:
        The crops [B, 3, size, size] uint8.
    """
    start, stride, mirrored = places.to(pixels.device).unbind(1)
    across = torch.arange(size, device=pixels.device)
    columns = torch.where(mirrored[:, None] > 0, size - 1 - across, across)
    corner = start[:, None, None] + across[:, None] * stride[:, None, None] + columns[:, None, :] * 3
    channels = torch.arange(3, device=pixels.device)[:, None, None]
    return pixels[corner[:, None] + channels]


def decode_files(files: ImageFiles, smallest: int) -> ImagePool:
    """Decode images into a pool in memory, on all cores.

    Images with a side below `smallest`, and those that cannot be read, are left out and named in the log.

    Raises:
        InvalidInput: None of the images can be used.
    """

    def pixels_of(path: Path) -> np.ndarray | str:
        try:
            pixels = decode_image(path)
            check_size(pixels.shape[1], pixels.shape[0], smallest)
        except BadImage as error:
            return str(error)
        return pixels

    def images() -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
        with ThreadPoolExecutor(cores()) as workers:
            decoded = workers.map(pixels_of, files.paths)
            for path, captions, pixels in zip(files.paths, files.captions, decoded, strict=True):
                if isinstance(pixels, str):
                    log.warning("%s is left out: %s", path, pixels)
                else:
                    yield pixels, captions

    return ImagePool.of(images())


def build_pool(rows: Iterable[Mapping[str, object]], root: Path, out: Path, smallest: int) -> None:
    """Decode images into the two files of a pool, `out`.bin and `out`.json.

    Images with a side below `smallest`, and those that cannot be read, are left out and counted in the JSON file.

    Args:
        rows: The rows of a JSONL list, with `file` and `captions`.
        root: The folder of the images.
        out: The path of the pool, without suffix.
        smallest: The shortest side, in pixels, that an image may have.

    Raises:
        PathError: A file cannot be written.
    """
    shapes: list[tuple[int, int]] = []
    captions: list[list[str]] = []
    left_out = {"too_small": 0, "unreadable": 0}
    try:
        # An earlier pool ends here: if this one is not finished, there is none, and no mixture of both.
        out.with_suffix(".json").unlink(missing_ok=True)
        with out.with_suffix(".bin").open("wb") as stream:
            for row in rows:
                try:
                    pixels = decode_image(root / str(row["file"]))
                except BadImage:
                    left_out["unreadable"] += 1
                    continue
                if min(pixels.shape[:2]) < smallest:
                    left_out["too_small"] += 1
                    continue
                stream.write(pixels.tobytes())
                shapes.append((pixels.shape[0], pixels.shape[1]))
                captions.append(list(row.get("captions") or []))  # type: ignore[call-overload]
    except OSError as error:
        raise PathError(f"{out}: {files.reason(error)}") from error
    contents = {"shapes": shapes, "captions": captions, **left_out}
    files.write(str(out.with_suffix(".json")), json.dumps(contents).encode(), force=True)


def open_pool(path: Path, *, in_memory: bool = False) -> ImagePool:
    """Open a pool that `build_pool` wrote.

    Args:
        path: The path of the pool, with or without suffix.
        in_memory: Read all pixels at once, instead of leaving them on disk until they are used.

    Raises:
        PathError: A file cannot be read.
        InvalidInput: The files are no pool, or not a whole one.
    """
    try:
        index = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        file = path.with_suffix(".bin")
        pixels = np.fromfile(file, dtype=np.uint8) if in_memory else np.memmap(file, dtype=np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise PathError(f"{path}: the pool cannot be opened: {error}") from error
    try:
        shapes = np.array(index["shapes"], dtype=np.int64).reshape(-1, 2)
        captions = tuple(tuple(c) for c in index["captions"])
    except (TypeError, ValueError, LookupError) as error:
        raise InvalidInput(f"{path.with_suffix('.json')}: not the index of a pool") from error
    size = int(shapes.prod(axis=1).sum()) * 3
    if not len(shapes) == len(captions) > 0 or pixels.size != size:
        raise InvalidInput(
            f"{file}: the file must have the {size:,} bytes of the {len(shapes)} images in its index, "
            f"which has captions for {len(captions)}, got {pixels.size:,} bytes"
        )
    return ImagePool(pixels, _offsets(shapes), shapes, captions)


def _offsets(shapes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(shapes.prod(axis=1) * 3)[:-1]])
