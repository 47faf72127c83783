"""Images side by side at equal bytes: every codec's best file that is no larger than one codec's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tacit.codec.rate_control import Scale, SizeSearch
from tacit.evaluation.codecs.protocol import EvalCodec, Quality
from tacit.evaluation.datasets import Dataset
from tacit.evaluation.measurements import Measurement
from tacit.evaluation.pixels import load_pixels
from tacit.evaluation.progress import EvalProgress
from tacit.evaluation.tasks import FILES, caption_for
from tacit.image.psnr import psnr

CROP = (256, 192)
TARGET = 0.25  # bits per pixel, where differences between codecs are visible


@dataclass(frozen=True, kw_only=True)
class EqualBytesFile:
    """One codec's file of an image."""

    codec: str
    """The codec's name."""
    quality: Quality
    """The codec's quality."""
    bytes: int
    """The size of the file."""
    too_large: bool
    """Whether the file is larger than the limit, because no smaller one was measured."""
    psnr: float
    """The PSNR in dB of the whole decoded image."""
    crop: np.ndarray
    """The part of the decoded image that is shown, [h, w, 3] uint8."""


@dataclass(frozen=True, kw_only=True)
class EqualBytesExample:
    """One image, and all codecs' files of it within one limit."""

    dataset: str
    """The data set's name."""
    image: str
    """The image's name."""
    caption: str | None
    """The image's caption, if it has one."""
    whole: np.ndarray
    """The original, [H, W, 3] uint8."""
    box: tuple[int, int, int, int]
    """The part that is shown: left, top, right and bottom."""
    limit: int
    """The limit in bytes."""
    leader: str
    """The codec whose file sets the limit."""
    original: np.ndarray
    """The part of the original that is shown, [h, w, 3] uint8."""
    files: tuple[EqualBytesFile, ...]
    """The codecs' files."""


def equal_bytes_examples(
    dataset: Dataset,
    codecs: Sequence[EvalCodec],
    rows: Sequence[Measurement],
    out: Path,
    count: int,
    progress: EvalProgress,
) -> list[EqualBytesExample]:
    """Return examples of a data set; a codec that fails is reported and left out.

    Args:
        dataset: The data set.
        codecs: The codecs.
        rows: What was measured.
        out: The folder of the results.
        count: How many images to choose; they are spread over the data set.
        progress: Is told about codecs that fail.
    """
    own = [row for row in rows if row.dataset == dataset.name]
    leader = next((c for c in codecs if c.is_own and any(r.codec == c.name for r in own)), codecs[0])
    measured = {row.image for row in own if row.codec == leader.name}
    numbers = [number for number, image in enumerate(dataset.images) if image.name in measured]
    count = min(count, len(numbers))
    chosen = [numbers[(2 * n + 1) * len(numbers) // (2 * count)] for n in range(count)]
    return [_example(dataset, number, codecs, leader, own, out, progress) for number in chosen]


def _example(
    dataset: Dataset,
    number: int,
    codecs: Sequence[EvalCodec],
    leader: EvalCodec,
    rows: Sequence[Measurement],
    out: Path,
    progress: EvalProgress,
) -> EqualBytesExample:
    image = dataset.images[number]
    pixels = load_pixels(image.path)
    image_rows = [row for row in rows if row.image == image.name]
    leading = _leading_row(image_rows, leader.name)
    box = detailed_box(pixels, *CROP)
    files = []
    for codec in codecs:
        own = sorted((r for r in image_rows if r.codec == codec.name), key=lambda r: r.bytes)
        if not own:
            continue
        caption = caption_for(codec, dataset, number)
        try:
            quality, file = (
                (leading.quality, out / leading.file)
                if codec is leader
                else _largest_file(codec, pixels, caption, own, leading.bytes, out)
            )
            decoded, _ = codec.decode(file, quality, 1)
        except Exception as error:  # a codec's library may raise anything
            progress.say(f"{dataset.name} {image.name} {codec.name}: not shown at equal bytes: {error}")
            continue
        size = file.stat().st_size
        files.append(
            EqualBytesFile(
                codec=codec.name,
                quality=quality,
                bytes=size,
                too_large=size > leading.bytes,
                psnr=psnr(decoded, pixels),
                crop=_crop(decoded, box),
            )
        )
    return EqualBytesExample(
        dataset=dataset.name,
        image=image.name,
        caption=image.caption,
        whole=pixels,
        box=box,
        limit=leading.bytes,
        leader=leader.name,
        original=_crop(pixels, box),
        files=tuple(files),
    )


def _leading_row(rows: Sequence[Measurement], leader: str) -> Measurement:
    """Return the leader's file whose size is the limit: near the target, and large enough for the other codecs."""
    smallest: dict[str, int] = {}
    for row in rows:
        smallest[row.codec] = min(row.bytes, smallest.get(row.codec, row.bytes))
    own = [row for row in rows if row.codec == leader]
    reached = [row for row in own if row.bytes >= max(smallest.values())]
    return min(reached or own, key=lambda row: abs(row.bpp - TARGET))


def _largest_file(
    codec: EvalCodec, pixels: np.ndarray, caption: str | None, rows: Sequence[Measurement], limit: int, out: Path
) -> tuple[Quality, Path]:
    """Find the highest quality whose file has at most `limit` bytes, or the smallest file where none has.

    Args:
        codec: The codec.
        pixels: The image, [H, W, 3] uint8.
        caption: The caption that the codec is given.
        rows: The codec's files of the image, by rising size; where their qualities are numbers, the search goes on
            between them.
        limit: The limit in bytes.
        out: The folder of the results.

    Returns:
        The quality and the file.
    """
    fitting = [row for row in rows if row.bytes <= limit]
    if not fitting:
        return rows[0].quality, out / rows[0].file
    best, file = fitting[-1], out / fitting[-1].file
    larger = rows[len(fitting)] if len(fitting) < len(rows) else None
    if larger is None or isinstance(best.quality, str) or isinstance(larger.quality, str):
        return best.quality, file
    if larger.quality <= best.quality:  # numbers that fall as the rate rises are not searched
        return best.quality, file
    folder = out / FILES / codec.name / "equal"
    folder.mkdir(parents=True, exist_ok=True)
    files = {best.quality: file}
    search = SizeSearch(Scale(best.quality, larger.quality, codec.step))
    search.add(best.quality, best.bytes)
    search.add(larger.quality, larger.bytes)
    for quality in search.steps(limit):
        files[quality] = folder / f"{Path(best.file).stem}-{limit}-{quality:g}.{codec.suffix}"
        codec.encode(pixels, caption, codec.check(quality), files[quality], 1)
        search.add(quality, files[quality].stat().st_size)
    largest = search.best(limit)
    assert largest is not None
    return largest, files[largest]


def detailed_box(pixels: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the part of an image that changes most, on a grid of half its size: left, top, right, bottom.

    Args:
        pixels: The image, [H, W, 3] uint8.
        width: The part's width, at most that of the image.
        height: The part's height, at most that of the image.
    """
    rows, columns, _ = pixels.shape
    width, height = min(width, columns), min(height, rows)
    luma = pixels.astype(np.float32).mean(axis=2)
    change = np.abs(np.diff(luma, axis=0))[:, :-1] + np.abs(np.diff(luma, axis=1))[:-1] if min(luma.shape) > 1 else luma
    most, place = -1.0, (0, 0)
    for top in range(0, rows - height + 1, max(1, height // 2)):
        for left in range(0, columns - width + 1, max(1, width // 2)):
            mean = float(change[top : top + height, left : left + width].mean())
            if mean > most:
                most, place = mean, (left, top)
    left, top = place
    return left, top, left + width, top + height


def _crop(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = box
    return np.ascontiguousarray(pixels[top:bottom, left:right])
