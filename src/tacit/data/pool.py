"""A pool of decoded photos in one memory-mapped file, from which crops are cut without decoding again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Pool:
    """pixels: all photos in a row, uint8, row-major RGB; shapes: [N, 2] height and width; captions: of each."""

    pixels: np.ndarray
    offsets: np.ndarray
    shapes: np.ndarray
    captions: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.shapes)

    def photo(self, index: int) -> np.ndarray:
        """[H, W, 3] uint8, a view."""
        height, width = self.shapes[index]
        start = self.offsets[index]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)

    def crop(self, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """A random [size, size, 3] crop, mirrored half of the time."""
        photo = self.photo(index)
        top = rng.integers(photo.shape[0] - size + 1)
        left = rng.integers(photo.shape[1] - size + 1)
        crop = photo[top : top + size, left : left + size]
        return crop[:, ::-1] if rng.random() < 0.5 else crop


def build_pool(rows: Iterable[dict[str, object]], root: Path, out: Path, smallest: int) -> None:
    """Decode the photos of JSONL rows (`file`, `captions`) below `root` into `out`.bin and `out`.json.

    Photos with a side below `smallest` are left out, and counted in the index.
    """
    shapes: list[tuple[int, int]] = []
    captions: list[list[str]] = []
    small = 0
    with out.with_suffix(".bin").open("wb") as stream:
        for row in rows:
            with Image.open(root / str(row["file"])) as image:
                pixels = np.asarray(image.convert("RGB"))
            if min(pixels.shape[:2]) < smallest:
                small += 1
                continue
            stream.write(pixels.tobytes())
            shapes.append(pixels.shape[:2])
            captions.append(list(row.get("captions") or []))  # type: ignore[call-overload]
    index = {"shapes": shapes, "captions": captions, "too_small": small}
    out.with_suffix(".json").write_text(json.dumps(index))


def open_pool(path: Path, *, in_memory: bool = False) -> Pool:
    """Open what `build_pool` wrote; unless `in_memory`, the pixels stay on disk until they are used."""
    index = json.loads(path.with_suffix(".json").read_text())
    shapes = np.array(index["shapes"], dtype=np.int64)
    sizes = shapes.prod(axis=1) * 3
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    file = path.with_suffix(".bin")
    pixels = np.fromfile(file, dtype=np.uint8) if in_memory else np.memmap(file, dtype=np.uint8, mode="r")
    return Pool(pixels, offsets, shapes, tuple(tuple(c) for c in index["captions"]))
