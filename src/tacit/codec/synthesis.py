"""From a file's integers to pixels: latents, and the tiles that are synthesised from them.

Latents are exact, small and no longer needed by the coder: they may be made by one process and synthesised by another,
alone or together with those of other images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tacit.codec.model import Array, Model, Quality
from tacit.container import CELL, REGION, Header, Region, cells
from tacit.engine.limits import LARGE
from tacit.entropy.units import LATENT_STEP

Box = tuple[int, int, int, int]
"""A part of an image in pixels: left, top, right, bottom."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A part of a box that is synthesised in one piece."""

    latents: Array
    """[M, h, w] int16, with a halo of what the synthesis reaches, so that no seam shows."""

    quality: Quality
    """The quality of the file, or a map of it [1, h, w]."""

    row: int
    """The first row of the part in the [16 h, 16 w] pixels that the latents give."""

    column: int
    """The first column of the part in these pixels."""

    top: int
    """The row of the box where the part belongs."""

    left: int
    """The column of the box where the part belongs."""

    height: int
    """Pixels of the part."""

    width: int
    """Pixels of the part."""


@dataclass(frozen=True)
class Latents:
    """A box of an image, decoded to the integers from which, with the weights, its pixels follow."""

    header: Header
    """The header of the file."""

    box: Box
    """The part of the image."""

    origin: tuple[int, int]
    """The row and the column, in latents of 16x16 pixels, at which `values` begin in the image."""

    values: Array
    """[M, h, w] int16, in sixteenths of a step: the latents of the box and, as far as the image goes, those that the
    synthesis reaches around it. `Codec.read` gives a numpy array; `Codec.synthesise` takes tensors, too."""

    def cut(self, reach: int) -> Latents:
        """Return a copy with only the latents that the box needs.

        Boxes of equal size get latents of equal shape, unless the image is too small for that.
        """
        rows, columns = self._window(reach)
        row, column = self.origin
        values = self.values[:, rows.start : rows.stop, columns.start : columns.stop]
        return replace(self, origin=(row + rows.start, column + columns.start), values=values)

    def tiles(self, reach: int, *, even: bool = False) -> Iterator[Tile]:
        """Yield the tiles of the box.

        Args:
            reach: How many latents around a tile its pixels depend on.
            even: Whether a box that is one tile has latents of the shape that `cut` gives, so that it can be
                synthesised with others, rather than the fewest.
        """
        left, top, right, bottom = self.box
        if even and max(right - left, bottom - top) <= REGION:
            rows, columns = self._window(reach)
            yield self._tile(rows, columns, self.box)
            return
        for tile_top in range(top, bottom, REGION):
            for tile_left in range(left, right, REGION):
                tile_right, tile_bottom = min(tile_left + REGION, right), min(tile_top + REGION, bottom)
                yield self._tile(
                    self._span(0, tile_top, tile_bottom, reach),
                    self._span(1, tile_left, tile_right, reach),
                    (tile_left, tile_top, tile_right, tile_bottom),
                )

    def _tile(self, rows: range, columns: range, part: Box) -> Tile:
        left, top, right, bottom = part
        row, column = rows.start + self.origin[0], columns.start + self.origin[1]
        return Tile(
            latents=self.values[:, rows.start : rows.stop, columns.start : columns.stop],
            quality=quality_at(self.header, row, column, len(rows), len(columns)),
            row=top - row * LATENT_STEP,
            column=left - column * LATENT_STEP,
            top=top - self.box[1],
            left=left - self.box[0],
            height=bottom - top,
            width=right - left,
        )

    def _span(self, axis: int, start: int, stop: int, reach: int) -> range:
        """Return the rows or columns of `values` that the pixels start..stop need."""
        first = start // LATENT_STEP - reach - self.origin[axis]
        last = -(-stop // LATENT_STEP) + reach - self.origin[axis]
        return range(max(0, first), min(self.values.shape[1 + axis], last))

    def _window(self, reach: int) -> tuple[range, range]:
        """Return the rows and columns of `values` that the box needs; boxes of equal size get equally many."""
        left, top, right, bottom = self.box

        def window(axis: int, start: int, stop: int) -> range:
            there = self.values.shape[1 + axis]
            count = min(there, -(-(stop - start + LATENT_STEP - 1) // LATENT_STEP) + 2 * reach)
            first = min(max(0, start // LATENT_STEP - reach - self.origin[axis]), there - count)
            return range(first, first + count)

        return window(0, top, bottom), window(1, left, right)


def quality_at(header: Header, row: int, column: int, height: int, width: int) -> Quality:
    """Return the quality of height x width latents from (row, column) of the image on.

    It is one number for all or, where the file has a map, [1, height, width] float32. Beyond the border it is that of
    the last cell.
    """
    if header.quality_map is None or header.quality is None:
        return header.quality
    down, across = cells(header.width, header.height)
    offsets = np.frombuffer(header.quality_map, np.int8).reshape(down, across).astype(np.int32)
    hundredths = (round(header.quality * 100) + 100 * offsets).clip(0, 10_000)
    per_cell = CELL // LATENT_STEP
    rows = np.minimum(np.arange(row, row + height) // per_cell, down - 1)
    columns = np.minimum(np.arange(column, column + width) // per_cell, across - 1)
    quality: np.ndarray = hundredths[rows[:, None], columns].astype(np.float32) / np.float32(100)
    return quality[None]


def region_quality(header: Header, region: Region, height: int, width: int) -> Quality:
    """Return the quality of the height x width latents of a region."""
    return quality_at(header, region.top // LATENT_STEP, region.left // LATENT_STEP, height, width)


def stack_qualities(qualities: Sequence[Quality], height: int, width: int) -> Quality:
    """Return the qualities of a batch of height x width latents as the model takes them.

    It is one number for all, [B], or where one has a map, maps [B, height, width].
    """
    if any(isinstance(q, np.ndarray) for q in qualities):
        even = np.ones((1, height, width), np.float32)
        return np.concatenate([q if isinstance(q, np.ndarray) else even * np.float32(q or 0) for q in qualities])
    return qualities[0] if len(set(qualities)) == 1 else np.array(qualities, np.float32)


def synthesise(
    latents: Sequence[Latents], models: Sequence[Model], *, keep: bool = False, together: int = 0
) -> list[Array]:
    """Return the pixels of each box: [H, W, 3] or, for a grey image, [H, W, 1] uint8.

    Args:
        latents: The boxes.
        models: The model of each box.
        keep: Whether the pixels stay where the engine made them, as its own arrays, rather than come to the host.
        together: Tiles whose latents have one shape run through the model at once, up to this many pixels; 0: one at a
            time.
    """
    results: list[Array] = []
    groups: dict[tuple[object, ...], list[tuple[int, Tile]]] = {}
    for number, (one, model) in enumerate(zip(latents, models, strict=True)):
        left, top, right, bottom = one.box
        header = one.header
        shape = bottom - top, right - left, 3 if header.color else 1
        results.append(model.engine.zeros(shape, np.uint8) if keep else np.empty(shape, np.uint8))
        for tile in one.tiles(model.synthesis_reach, even=together > 0):
            alike = id(model), header.color, header.quality is None, tile.latents.shape
            groups.setdefault(alike, []).append((number, tile))

    def paint(number: int, tile: Tile, pixels: Array) -> None:
        rows, columns = slice(tile.top, tile.top + tile.height), slice(tile.left, tile.left + tile.width)
        results[number][rows, columns] = pixels

    def paint_all(part: Sequence[tuple[int, Tile]], marks: Sequence[tuple[object, ...] | None], levels: Array) -> None:
        for (number, tile), mark, whole in zip(part, marks, levels, strict=True):
            pixels = whole[tile.row : tile.row + tile.height, tile.column : tile.column + tile.width]
            if mark is not None:
                blank[mark] = pixels
            paint(number, tile, pixels)

    # What a GPU has synthesised is copied to the host while it works on what comes next.
    copies = _Copies()

    # A tile with nothing in it, as where regions are lost, is the same for every such tile of its shape. A short forged
    # file may promise thousands. (Not where tiles run together on a GPU: to test each tile would cost more there.)
    blank: dict[tuple[object, ...], Array] = {}
    for key, members in groups.items():
        model, color = models[members[0][0]], bool(key[1])
        _, height, width = members[0][1].latents.shape
        step = max(1, together // (height * width * LATENT_STEP**2))
        for start in range(0, len(members), step):
            part, marks = [], []
            for number, tile in members[start : start + step]:
                place = tile.row, tile.column, tile.height, tile.width
                mark = None if together or tile.latents.any() else (*key, _mark(tile.quality), *place)
                if mark in blank:
                    paint(number, tile, blank[mark])
                else:
                    part.append((number, tile))
                    marks.append(mark)
            if not part:
                continue
            batch = model.engine.stack([tile.latents for _, tile in part])
            qualities = stack_qualities([tile.quality for _, tile in part], height, width)
            levels = model.levels(batch, qualities, color=color)
            copies.add(
                partial(_itself, levels) if keep else model.engine.fetch(levels), partial(paint_all, part, marks)
            )
            if not together:  # the next tile may be as blank as this one
                copies.finish()
    copies.finish()
    for one, model in zip(latents, models, strict=True):
        left, top, right, bottom = one.box
        if (right - left) * (bottom - top) > LARGE:
            model.release()
    return results


class _Copies:
    """Results on their way from the device where they are made, each of which is passed on while the next is made."""

    def __init__(self) -> None:
        self._waiting: tuple[Callable[[], Array], Callable[[Array], None]] | None = None

    def add(self, wait: Callable[[], Array], use: Callable[[Array], None]) -> None:
        """Take what waits for a result and returns it, and call `use` of the one before it."""
        self.finish()
        self._waiting = wait, use

    def finish(self) -> None:
        """Call `use` of the last result."""
        if self._waiting is not None:
            wait, use = self._waiting
            self._waiting = None
            use(wait())


def _itself(array: Array) -> Array:
    return array


def _mark(quality: Quality) -> object:
    return quality.tobytes() if isinstance(quality, np.ndarray) else quality
