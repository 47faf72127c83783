"""A pool of decoded photos in one memory-mapped file, from which crops are cut without decoding again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tacit.errors import InvalidInput, PathError
from tacit.training.dataset.image_files import BadImage, decode, random_crop


@dataclass(frozen=True)
class ImagePool:
    """pixels: all photos in a row, uint8, row-major RGB; offsets: [N] where each begins; shapes: [N, 2] height and
    width; captions: of each."""

    pixels: np.ndarray
    offsets: np.ndarray
    shapes: np.ndarray
    captions: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(photos: Iterable[tuple[np.ndarray, tuple[str, ...]]]) -> ImagePool:
        """In memory, of photos [H, W, 3] uint8 with their captions. Raises: InvalidInput, for none."""
        arrays, captions = [], []
        for photo, texts in photos:
            arrays.append(photo)
            captions.append(texts)
        if not arrays:
            raise InvalidInput("a pool of no photos")
        shapes = np.array([a.shape[:2] for a in arrays], dtype=np.int64)
        return ImagePool(np.concatenate([a.reshape(-1) for a in arrays]), _offsets(shapes), shapes, tuple(captions))

    def __len__(self) -> int:
        return len(self.shapes)

    def name(self, index: int) -> str:
        """What a message calls the photo."""
        return f"photo {index} of the pool"

    def photo(self, index: int) -> np.ndarray:
        """[H, W, 3] uint8, a view."""
        height, width = self.shapes[index]
        start = self.offsets[index]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    def crop(self, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """A random [size, size, 3] crop, mirrored half of the time. Raises: BadImage, where the photo is smaller."""
        return random_crop(self.photo(index), size, rng)

    def place(self, index: int, size: int, rng: np.random.Generator) -> tuple[int, int, bool]:
        """Where `crop` would cut: the first sample's position in `pixels`, samples per row, mirrored or not."""
        height, width = (int(side) for side in self.shapes[index])
        if min(height, width) < size:
            raise BadImage(f"{width}x{height} pixels, less than a crop of {size}")
        top = int(rng.integers(height - size + 1))
        left = int(rng.integers(width - size + 1))
        return int(self.offsets[index]) + (top * width + left) * 3, width * 3, bool(rng.random() < 0.5)


def cut(pixels: Tensor, places: Tensor, size: int) -> Tensor:
    """Crops out of a pool's pixels, on whatever device those are.

    pixels: flat uint8; places: [B, 3] int64, as `ImagePool.place` gives them. Returns [B, 3, size, size] uint8.
    """
    start, stride, mirrored = places.to(pixels.device).unbind(1)
    across = torch.arange(size, device=pixels.device)
    columns = torch.where(mirrored[:, None] > 0, size - 1 - across, across)
    corner = start[:, None, None] + across[:, None] * stride[:, None, None] + columns[:, None, :] * 3
    colours = torch.arange(3, device=pixels.device)[:, None, None]
    return pixels[corner[:, None] + colours]


def build_pool(rows: Iterable[dict[str, object]], root: Path, out: Path, smallest: int) -> None:
    """Decode the photos of JSONL rows (`file`, `captions`) below `root` into `out`.bin and `out`.json.

    Photos with a side below `smallest`, and those that cannot be read, are left out, and counted in the index.
    """
    shapes: list[tuple[int, int]] = []
    captions: list[list[str]] = []
    left_out = {"too_small": 0, "unreadable": 0}
    with out.with_suffix(".bin").open("wb") as stream:
        for row in rows:
            try:
                pixels = decode(root / str(row["file"]))
            except BadImage:
                left_out["unreadable"] += 1
                continue
            if min(pixels.shape[:2]) < smallest:
                left_out["too_small"] += 1
                continue
            stream.write(pixels.tobytes())
            shapes.append((pixels.shape[0], pixels.shape[1]))
            captions.append(list(row.get("captions") or []))  # type: ignore[call-overload]
    out.with_suffix(".json").write_text(json.dumps({"shapes": shapes, "captions": captions, **left_out}))


def open_pool(path: Path, *, in_memory: bool = False) -> ImagePool:
    """Open what `build_pool` wrote; unless `in_memory`, the pixels stay on disk until they are used.

    Raises: PathError; InvalidInput, for files that are no pool, or not a whole one.
    """
    try:
        index = json.loads(path.with_suffix(".json").read_text())
        file = path.with_suffix(".bin")
        pixels = np.fromfile(file, dtype=np.uint8) if in_memory else np.memmap(file, dtype=np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise PathError(f"pool {path}: {error}") from error
    try:
        shapes = np.array(index["shapes"], dtype=np.int64).reshape(-1, 2)
        captions = tuple(tuple(c) for c in index["captions"])
    except (TypeError, ValueError, LookupError) as error:
        raise InvalidInput(f"{path.with_suffix('.json')}: no index of a pool") from error
    size = int(shapes.prod(axis=1).sum()) * 3
    if not len(shapes) == len(captions) > 0 or pixels.size != size:
        raise InvalidInput(
            f"{file}: {pixels.size:,} bytes, where its index has {len(shapes)} photos of {size:,} bytes"
            f" and {len(captions)} photos' captions"
        )
    return ImagePool(pixels, _offsets(shapes), shapes, captions)


def _offsets(shapes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(shapes.prod(axis=1) * 3)[:-1]])
