"""Pictures side by side at equal bytes: every codec's best file that is no larger than one codec's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tacit.codec.rate_control import Scale, SizeSearch
from tacit.evaluation.codecs import EvalCodec, Quality
from tacit.evaluation.datasets import Dataset, Item
from tacit.evaluation.metrics import psnr
from tacit.evaluation.runner import FILES, Progress, Row, given_caption, load_pixels

CROP = (256, 192)
TARGET = 0.25  # bits per pixel, where codecs can be told apart by eye


@dataclass(frozen=True)
class Shown:
    """One codec's file. over: it is larger than the limit, and no smaller one was measured. psnr: of the whole."""

    codec: str
    quality: Quality
    bytes: int
    over: bool
    psnr: float
    crop: np.ndarray


@dataclass(frozen=True)
class Exhibit:
    """One image. limit: bytes; leader: the codec whose file has so many; box: left, top, width, height of the part."""

    dataset: str
    image: str
    caption: str | None
    whole: np.ndarray
    box: tuple[int, int, int, int]
    limit: int
    leader: str
    original: np.ndarray
    shown: tuple[Shown, ...]


def exhibits(
    dataset: Dataset, codecs: Sequence[EvalCodec], rows: Sequence[Row], out: Path, count: int, progress: Progress
) -> list[Exhibit]:
    """Of `count` images spread over the set. A codec that fails is said and left out."""
    own = [row for row in rows if row.dataset == dataset.name]
    leader = next((c for c in codecs if c.suffix == "tacit" and any(r.codec == c.name for r in own)), codecs[0])
    items = [i for i in dataset.items if any(r.image == i.name and r.codec == leader.name for r in own)]
    count = min(count, len(items))
    chosen = [items[(2 * n + 1) * len(items) // (2 * count)] for n in range(count)]
    return [_exhibit(dataset, item, codecs, leader, own, out, progress) for item in chosen]


def _exhibit(
    dataset: Dataset,
    item: Item,
    codecs: Sequence[EvalCodec],
    leader: EvalCodec,
    rows: Sequence[Row],
    out: Path,
    progress: Progress,
) -> Exhibit:
    pixels = load_pixels(item.path)
    of_image = [row for row in rows if row.image == item.name]
    first = _limit(of_image, leader.name)
    box = detailed(pixels, *CROP)
    shown = []
    for codec in codecs:
        own = sorted((r for r in of_image if r.codec == codec.name), key=lambda r: r.bytes)
        if not own:
            continue
        caption = given_caption(codec, dataset, dataset.items.index(item))
        try:
            quality, file = (
                (first.quality, out / first.file)
                if codec is leader
                else largest(codec, pixels, caption, own, first.bytes, out)
            )
            decoded, _ = codec.decode(file, quality, 1)
        except Exception as error:  # a codec's library may raise whatever it likes
            progress.say(f"{dataset.name} {item.name} {codec.name}: not shown at equal bytes: {error}")
            continue
        size = file.stat().st_size
        shown.append(Shown(codec.name, quality, size, size > first.bytes, psnr(decoded, pixels), _cut(decoded, box)))
    return Exhibit(
        dataset.name, item.name, item.caption, pixels, box, first.bytes, leader.name, _cut(pixels, box), tuple(shown)
    )


def _limit(rows: Sequence[Row], leader: str) -> Row:
    """The leader's file whose size is the limit: near the target, and one that the others can get below."""
    least: dict[str, int] = {}
    for row in rows:
        least[row.codec] = min(row.bytes, least.get(row.codec, row.bytes))
    own = [row for row in rows if row.codec == leader]
    reached = [row for row in own if row.bytes >= max(least.values())]
    return min(reached or own, key=lambda row: abs(row.bpp - TARGET))


def largest(
    codec: EvalCodec, pixels: np.ndarray, caption: str | None, rows: Sequence[Row], limit: int, out: Path
) -> tuple[Quality, Path]:
    """The best quality found whose file has at most `limit` bytes, and the file; the smallest of `rows` if none has.

    rows: what has been measured, by rising bytes; between its qualities is searched where they are numbers.
    """
    fitting = [row for row in rows if row.bytes <= limit]
    if not fitting:
        return rows[0].quality, out / rows[0].file
    best, found = fitting[-1], out / fitting[-1].file
    larger = rows[len(fitting)] if len(fitting) < len(rows) else None
    if larger is None or isinstance(best.quality, str) or isinstance(larger.quality, str):
        return best.quality, found
    folder = out / FILES / codec.name / "equal"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{Path(best.file).stem}-{limit}"
    trials = {best.quality: found}
    search = SizeSearch(Scale(best.quality, larger.quality, codec.step))
    search.add(best.quality, best.bytes)
    search.add(larger.quality, larger.bytes)
    for quality in search.steps(limit):
        trials[quality] = folder / f"{stem}-{quality:g}.{codec.suffix}"
        codec.encode(pixels, caption, codec.check(quality), trials[quality], 1)
        search.add(quality, trials[quality].stat().st_size)
    chosen = search.best(limit)
    assert chosen is not None
    return chosen, trials[chosen]


def detailed(pixels: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, width, height of the part that changes most, on a grid of half its size."""
    rows, columns, _ = pixels.shape
    width, height = min(width, columns), min(height, rows)
    luma = pixels.astype(np.float32).mean(axis=2)
    change = np.abs(np.diff(luma, axis=0))[:, :-1] + np.abs(np.diff(luma, axis=1))[:-1] if min(luma.shape) > 1 else luma
    best, place = -1.0, (0, 0)
    for top in range(0, rows - height + 1, max(1, height // 2)):
        for left in range(0, columns - width + 1, max(1, width // 2)):
            found = float(change[top : top + height, left : left + width].mean())
            if found > best:
                best, place = found, (left, top)
    return (*place, width, height)


def _cut(pixels: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, width, height = box
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])
