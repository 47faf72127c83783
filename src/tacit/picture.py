"""A picture between its file's integers and its pixels: latents, and the tiles that are synthesised of them.

Latents are exact, small and of no use to the coder any more: they may be made by one process and synthesised by
another, alone or together with those of other pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tacit.container import CELL, REGION, Header, cells
from tacit.models.coding import LATENT_STEP, CodingModel, Quality

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Tile:
    """A part of a picture that is synthesised in one piece.

    latents: [M, h, w] int16, with a halo of what the synthesis reaches, so that no seam shows; row, column: where the
    part begins in the [16 h, 16 w] pixels that they give; top, left: where it belongs in the box. quality: of the file,
    or a map of it [1, h, w].
    """

    latents: Tensor
    quality: float | Tensor | None
    row: int
    column: int
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Latents:
    """A box of a picture, decoded to the integers from which, with the weights, its pixels follow.

    header: of the file. box: (left, top, right, bottom) in pixels. values: [M, h, w] int16, in sixteenths of a step,
    from `origin` (row, column, in latents of 16x16 pixels) on: those of the box and, as far as the picture goes, those
    that the synthesis reaches around it.
    """

    header: Header
    box: Box
    origin: tuple[int, int]
    values: Tensor

    def cut(self, reach: int) -> Latents:
        """Without latents that are not needed for the box. Boxes of one size have then latents of one shape, wherever
        they are, unless the picture is too small for that."""
        rows, columns = self._window(reach)
        row, column = self.origin
        values = self.values[:, rows.start : rows.stop, columns.start : columns.stop]
        return replace(self, origin=(row + rows.start, column + columns.start), values=values)

    def tiles(self, reach: int, *, even: bool = False) -> Iterator[Tile]:
        """reach: of the synthesis, in latents. even: a box that is one tile has latents of the shape that `cut` gives,
        so that it can be synthesised with others, rather than the fewest."""
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
            self.values[:, rows.start : rows.stop, columns.start : columns.stop],
            quality_at(self.header, row, column, len(rows), len(columns)),
            top - row * LATENT_STEP,
            left - column * LATENT_STEP,
            top - self.box[1],
            left - self.box[0],
            bottom - top,
            right - left,
        )

    def _span(self, axis: int, start: int, stop: int, reach: int) -> range:
        """Rows or columns of `values` that the pixels start..stop need."""
        first = start // LATENT_STEP - reach - self.origin[axis]
        last = -(-stop // LATENT_STEP) + reach - self.origin[axis]
        return range(max(0, first), min(self.values.shape[1 + axis], last))

    def _window(self, reach: int) -> tuple[range, range]:
        """Rows and columns of `values`: as many, wherever a box of this size is."""
        left, top, right, bottom = self.box

        def window(axis: int, start: int, stop: int) -> range:
            there = self.values.shape[1 + axis]
            count = min(there, -(-(stop - start + LATENT_STEP - 1) // LATENT_STEP) + 2 * reach)
            first = min(max(0, start // LATENT_STEP - reach - self.origin[axis]), there - count)
            return range(first, first + count)

        return window(0, top, bottom), window(1, left, right)


def quality_at(header: Header, row: int, column: int, height: int, width: int) -> float | Tensor | None:
    """The quality of height x width latents from (row, column) of the picture on: one for all, or where the file has a
    map, [1, height, width] float32. Beyond the border it is that of the last cell."""
    if header.quality_map is None or header.quality is None:
        return header.quality
    down, across = cells(header.width, header.height)
    # a caller's default device must not decide where this is
    offsets = torch.from_numpy(np.frombuffer(header.quality_map, np.int8).reshape(down, across).astype(np.int32))
    hundredths = (round(header.quality * 100) + 100 * offsets).clamp(0, 10_000)
    per_cell = CELL // LATENT_STEP
    rows = (torch.arange(row, row + height, device="cpu") // per_cell).clamp(max=down - 1)
    columns = (torch.arange(column, column + width, device="cpu") // per_cell).clamp(max=across - 1)
    return (hundredths[rows[:, None], columns].float() / 100)[None]


def synthesise(
    pictures: Sequence[Latents],
    models: Sequence[CodingModel],
    *,
    device: torch.device,
    out: torch.device,
    together: int = 0,
) -> list[Tensor]:
    """The pixels of each picture's box: [H, W, 3] or, where it is grey, [H, W, 1] uint8, on the device `out`.

    models: of each picture, on `device`. together: tiles whose latents have one shape run through the model at once, up
    to so many pixels; 0: one at a time.
    """
    results = []
    groups: dict[tuple[object, ...], list[tuple[int, Tile]]] = {}
    for number, (picture, model) in enumerate(zip(pictures, models, strict=True)):
        left, top, right, bottom = picture.box
        header = picture.header
        shape = bottom - top, right - left, 3 if header.color else 1
        results.append(torch.empty(shape, dtype=torch.uint8, device=out))
        for tile in picture.tiles(model.synthesis_reach, even=together > 0):
            alike = id(model), header.color, header.quality is None, tile.latents.shape
            groups.setdefault(alike, []).append((number, tile))

    def paint(number: int, tile: Tile, pixels: Tensor) -> None:
        rows, columns = slice(tile.top, tile.top + tile.height), slice(tile.left, tile.left + tile.width)
        results[number][rows, columns] = pixels

    # A tile with nothing in it, as where regions are lost, is the same for every such tile of its shape. A short forged
    # file may promise thousands. (Where tiles run together on a GPU, it would be asked for each of them.)
    blank: dict[tuple[object, ...], Tensor] = {}
    for key, members in groups.items():
        model, color = models[members[0][0]], key[1]
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
            latents = torch.stack([tile.latents for _, tile in part]).to(device)
            x = model.synthesise(latents, qualities([tile.quality for _, tile in part], height, width))
            if not color:
                x = x.mean(dim=1, keepdim=True)
            levels = x.mul(255).round_().to(torch.uint8).permute(0, 2, 3, 1)
            for (number, tile), mark, one in zip(part, marks, levels, strict=True):
                wanted = one[tile.row : tile.row + tile.height, tile.column : tile.column + tile.width]
                if mark is not None:
                    blank[mark] = wanted = wanted.to(out)
                paint(number, tile, wanted)
    return results


def qualities(of_each: Sequence[Quality], height: int, width: int) -> Quality:
    """Of a batch of height x width latents: one for all, [B], or where one has a map, maps [B, height, width]."""
    if any(isinstance(q, Tensor) for q in of_each):
        even = torch.ones(1, height, width, dtype=torch.float32, device="cpu")
        return torch.cat([q if isinstance(q, Tensor) else even * (q or 0) for q in of_each])
    return of_each[0] if len(set(of_each)) == 1 else torch.tensor(of_each, dtype=torch.float32, device="cpu")


def _mark(quality: Quality) -> object:
    return quality.numpy().tobytes() if isinstance(quality, Tensor) else quality
