"""Named regions: phrases that name a part of an image, and how well a file keeps that part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from tacit.errors import InvalidInput, PathError
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.pixels import load_pixels
from tacit.image.psnr import decibels

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a part of an image, in pixels."""

LOSSLESS = 99.0
"""What counts as the PSNR of a part that is decoded without an error, in dB: a curve needs a number."""


@dataclass(frozen=True)
class NamedRegion:
    """A phrase that names a part of an image."""

    image: str
    """The name of the image's file."""
    phrase: str
    """The words that name the part."""
    box: Box
    """The part that they name."""
    seen: bool = True
    """Whether who builds a finder of named things may look at the image; the others are kept to judge it in the end."""


PACKAGED = {"kodak": "regions.jsonl", "coco": "coco_regions.jsonl"}
"""The files of named regions in the package, by the names that stand for them."""


def read_named_regions(path: str = "kodak") -> tuple[NamedRegion, ...]:
    """Read named regions from a JSONL file.

    Args:
        path: The file, or the name of one of those in the package (`PACKAGED`); empty means "kodak".

    Raises:
        PathError: The file cannot be read.
        InvalidInput: A line is not a named region; the message has its number.
    """
    try:
        packaged = PACKAGED.get(path or "kodak")
        source = Path(path) if packaged is None else resources.files("tacit.study") / packaged
        lines = source.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PathError(f"{path or 'kodak'}: {getattr(error, 'strerror', None) or error}") from error
    regions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            image, phrase = row["image"], row["phrase"].strip()
            left, top, right, bottom = (int(edge) for edge in row["box"])
            seen = row.get("seen", True)
            valid = isinstance(image, str) and phrase and 0 <= left < right and 0 <= top < bottom
            valid = valid and isinstance(seen, bool)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            valid = False
        if not valid:
            raise InvalidInput(
                f'{path or "kodak"}, line {number}: must be {{"image": ..., "phrase": ..., '
                '"box": [left, top, right, bottom]}'
            )
        regions.append(NamedRegion(image, phrase, (left, top, right, bottom), seen))
    return tuple(regions)


def regions_in(dataset: Dataset, regions: Sequence[NamedRegion]) -> list[NamedRegion]:
    """Return those of the named regions that are in images of a set, after checking that they fit.

    Raises:
        InvalidInput: A box is not a part of its image.
        PathError: An image cannot be read.
    """
    paths = {item.name.rpartition("/")[2]: item.path for item in dataset.images}
    found = [region for region in regions if region.image in paths]
    shapes = {image: load_pixels(paths[image]).shape for image in {region.image for region in found}}
    for region in found:
        height, width = shapes[region.image][:2]
        try:
            check_box(region.box, width, height)
        except InvalidInput as error:
            raise InvalidInput(f"{region.image}, {region.phrase!r}: {error}") from error
    return found


def other_phrases(regions: Sequence[NamedRegion]) -> tuple[str, ...]:
    """Return for each region a phrase that names something else.

    This is the phrase of another part of the same image, if there is one that overlaps the region by at most a tenth of
    the smaller of both; otherwise it is the phrase of the next region of another image.

    Raises:
        InvalidInput: A region has no other phrase to be compared with.
    """
    phrases = []
    for i, region in enumerate(regions):
        others = [*regions[i + 1 :], *regions[:i]]
        same_image = (r.phrase for r in others if r.image == region.image and _overlap(r.box, region.box) <= 0.1)
        other_image = (r.phrase for r in others if r.image != region.image and r.phrase != region.phrase)
        phrase = next(same_image, None) or next(other_image, None)
        if phrase is None:
            raise InvalidInput(f"the named regions have no phrase to compare {region.phrase!r} with")
        phrases.append(phrase)
    return tuple(phrases)


def _overlap(a: Box, b: Box) -> float:
    """Return the area that two boxes share, as a part of the smaller one's area."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0, width) * max(0, height) / smaller


def check_box(box: Box, width: int, height: int) -> None:
    """Check that a box is a part of an image of `width` x `height` pixels.

    Raises:
        InvalidInput: The box is not inside the image, or is the whole of it.
    """
    left, top, right, bottom = box
    if right > width or bottom > height or (right - left) * (bottom - top) == width * height:
        raise InvalidInput(f"a box must be a part of the image of {width}x{height} pixels, got {box}")


def region_psnrs(original: np.ndarray, decoded: np.ndarray, boxes: Sequence[Box]) -> list[tuple[float, float]]:
    """Return the PSNR inside each box and outside of it.

    Args:
        original: The original image, uint8 [H, W, 3].
        decoded: The decoded image, uint8 [H, W, 3].
        boxes: Parts of the image.

    Returns:
        For each box, PSNR in dB inside and outside, at most 99 each.

    Raises:
        InvalidInput: A box is not inside the image, or is the whole of it.
    """
    height, width = original.shape[:2]
    errors = np.square(original.astype(np.int64) - decoded).sum(axis=2)
    psnrs = []
    for box in boxes:
        check_box(box, width, height)
        left, top, right, bottom = box
        inside = (right - left) * (bottom - top)
        part = int(errors[top:bottom, left:right].sum())
        psnrs.append((_psnr(part, inside), _psnr(int(errors.sum()) - part, width * height - inside)))
    return psnrs


def _psnr(squares: int, pixels: int) -> float:
    """Return the PSNR in dB, at most `LOSSLESS`, of a sum of squared errors over pixels of three samples each."""
    return min(LOSSLESS, decibels(squares / (3 * pixels)))
