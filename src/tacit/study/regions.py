"""Phrases that name a part of a picture, and how well a part is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from tacit.errors import InvalidInput, PathError

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Region:
    """image: a file's name. box: left, top, right, bottom of what the phrase names, in pixels."""

    image: str
    phrase: str
    box: Box


def read_regions(path: str = "") -> tuple[Region, ...]:
    """Of a JSONL file; of the package's, which is of the Kodak images, if no path is given.

    Raises: PathError; InvalidInput, naming the line.
    """
    try:
        source = Path(path) if path else resources.files("tacit.study") / "regions.jsonl"
        lines = source.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PathError(f"regions {path}: {getattr(error, 'strerror', None) or error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            image, phrase = row["image"], row["phrase"].strip()
            left, top, right, bottom = (int(edge) for edge in row["box"])
            whole = isinstance(image, str) and phrase and 0 <= left < right and 0 <= top < bottom
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            whole = False
        if not whole:
            raise InvalidInput(
                f'regions {path}, line {number}: expected {{"image": ..., "phrase": ..., '
                '"box": [left, top, right, bottom]}'
            )
        found.append(Region(image, phrase, (left, top, right, bottom)))
    return tuple(found)


def others(regions: Sequence[Region]) -> tuple[str, ...]:
    """For each region a phrase that names something else: of another part of its image where there is one that hardly
    overlaps (by a tenth of the smaller at most), else that of the next region of another image."""
    found = []
    for i, region in enumerate(regions):
        around = [*regions[i + 1 :], *regions[:i]]
        beside = (r.phrase for r in around if r.image == region.image and _overlap(r.box, region.box) <= 0.1)
        elsewhere = (r.phrase for r in around if r.image != region.image and r.phrase != region.phrase)
        phrase = next(beside, None) or next(elsewhere, None)
        if phrase is None:
            raise InvalidInput(f"regions: no other phrase to compare {region.phrase!r} with")
        found.append(phrase)
    return tuple(found)


def _overlap(a: Box, b: Box) -> float:
    """Of the smaller one."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0, width) * max(0, height) / smaller


def check_box(box: Box, width: int, height: int) -> None:
    """Raises: InvalidInput, where a box is not in an image of that size, or is the whole of it."""
    left, top, right, bottom = box
    if right > width or bottom > height or (right - left) * (bottom - top) == width * height:
        raise InvalidInput(f"box {box}: not a part of the image of {width}x{height} pixels")


def part_psnrs(original: np.ndarray, decoded: np.ndarray, boxes: Sequence[Box]) -> list[tuple[float, float]]:
    """For each box, PSNR in dB of uint8 [H, W, 3] inside of it, and outside of it; at most 99.

    Raises: InvalidInput, where a box is not in the image, or is the whole of it.
    """
    height, width = original.shape[:2]
    errors = np.square(original.astype(np.int64) - decoded).sum(axis=2)
    found = []
    for box in boxes:
        check_box(box, width, height)
        left, top, right, bottom = box
        inside = (right - left) * (bottom - top)
        part = int(errors[top:bottom, left:right].sum())
        found.append((_psnr(part, inside), _psnr(int(errors.sum()) - part, width * height - inside)))
    return found


def _psnr(squares: int, pixels: int) -> float:
    return 99.0 if squares == 0 else min(99.0, 10 * math.log10(255**2 * 3 * pixels / squares))
