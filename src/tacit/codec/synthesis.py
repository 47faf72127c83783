"""From a file's integers to pixels: latents, and the tiles that are synthesised from them.

Latents are exact, small and no longer needed by the coder: they may be made by one process and synthesised by another,
alone or together with those of other images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tacit.codec.overlap import IN_FLIGHT
from tacit.container import CELL, REGION, Header, Region, cells
from tacit.entropy.units import LATENT_STEP
from tacit.models.coding import CodingModel, Quality
from tacit.models.host_memory import copy_to_host, host_empty, to_device

Box = tuple[int, int, int, int]
"""A part of an image in pixels: left, top, right, bottom."""

BATCH_PIXELS = 2 << 20  # regions of one shape are coded together up to this many pixels on a CPU
GPU_PIXELS = 8 << 20  # and on a GPU, if it has the memory: that keeps it busy, and several such parts are in flight
GPU_BYTES = 256  # that coding takes for each pixel on a GPU


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A part of a box that is synthesised in one piece."""

    latents: Tensor
    """[M, h, w] int16, with a halo of what the synthesis reaches, so that no seam shows."""

    quality: float | Tensor | None
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

    values: Tensor
    """[M, h, w] int16, in sixteenths of a step: the latents of the box and, as far as the image goes, those that the
    synthesis reaches around it."""

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


def pixels_together(device: torch.device) -> int:
    """Return how many pixels are coded together on a device.

    On a GPU the parts of a batch that are in flight take half of its free memory at most.
    """
    if device.type != "cuda":
        return BATCH_PIXELS
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch has it and does not use it
    return max(BATCH_PIXELS, min(GPU_PIXELS, free // 2 // IN_FLIGHT // GPU_BYTES))


def quality_at(header: Header, row: int, column: int, height: int, width: int) -> float | Tensor | None:
    """Return the quality of height x width latents from (row, column) of the image on.

    It is one number for all or, where the file has a map, [1, height, width] float32. Beyond the border it is that of
    the last cell.
    """
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


def region_quality(header: Header, region: Region, height: int, width: int) -> Quality:
    """Return the quality of the height x width latents of a region."""
    return quality_at(header, region.top // LATENT_STEP, region.left // LATENT_STEP, height, width)


def stack_qualities(qualities: Sequence[Quality], height: int, width: int) -> Quality:
    """Return the qualities of a batch of height x width latents as the model takes them.

    It is one number for all, [B], or where one has a map, maps [B, height, width].
    """
    if any(isinstance(q, Tensor) for q in qualities):
        even = torch.ones(1, height, width, dtype=torch.float32, device="cpu")
        return torch.cat([q if isinstance(q, Tensor) else even * (q or 0) for q in qualities])
    return qualities[0] if len(set(qualities)) == 1 else torch.tensor(qualities, dtype=torch.float32, device="cpu")


def synthesise(
    latents: Sequence[Latents],
    models: Sequence[CodingModel],
    *,
    device: torch.device,
    out: torch.device,
    together: int = 0,
) -> list[Tensor]:
    """Return the pixels of each box: [H, W, 3] or, for a grey image, [H, W, 1] uint8, on the device `out`.

    Args:
        latents: The boxes.
        models: The model of each box, on `device`.
        device: Where the synthesis runs.
        out: Where the pixels go.
        together: Tiles whose latents have one shape run through the model at once, up to this many pixels; 0: one at a
            time.
    """
    results = []
    groups: dict[tuple[object, ...], list[tuple[int, Tile]]] = {}
    for number, (one, model) in enumerate(zip(latents, models, strict=True)):
        left, top, right, bottom = one.box
        header = one.header
        shape = bottom - top, right - left, 3 if header.color else 1
        results.append(torch.empty(shape, dtype=torch.uint8, device=out))
        for tile in one.tiles(model.synthesis_reach, even=together > 0):
            alike = id(model), header.color, header.quality is None, tile.latents.shape
            groups.setdefault(alike, []).append((number, tile))

    def paint(number: int, tile: Tile, pixels: Tensor) -> None:
        rows, columns = slice(tile.top, tile.top + tile.height), slice(tile.left, tile.left + tile.width)
        results[number][rows, columns] = pixels

    def paint_all(part: Sequence[tuple[int, Tile]], marks: Sequence[tuple[object, ...] | None], levels: Tensor) -> None:
        for (number, tile), mark, whole in zip(part, marks, levels, strict=True):
            pixels = whole[tile.row : tile.row + tile.height, tile.column : tile.column + tile.width]
            if mark is not None:
                blank[mark] = pixels
            paint(number, tile, pixels)

    # What a GPU has synthesised is copied to the host while it works on what comes next.
    copies = _Copies(device, out)

    # A tile with nothing in it, as where regions are lost, is the same for every such tile of its shape. A short forged
    # file may promise thousands. (Not where tiles run together on a GPU: to test each tile would cost more there.)
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
            batch = _stack([tile.latents for _, tile in part], device)
            x = model.synthesise(batch, stack_qualities([tile.quality for _, tile in part], height, width))
            if not color:
                x = x.mean(dim=1, keepdim=True)
            levels = x.mul(255).round_().to(torch.uint8).permute(0, 2, 3, 1)
            copies.add(levels, partial(paint_all, part, marks))
            if not together:  # the next tile may be as blank as this one
                copies.finish()
    copies.finish()
    return results


def _stack(values: Sequence[Tensor], device: torch.device) -> Tensor:
    """Return tensors of one shape and type as a batch on `device`."""
    first = values[0]
    if first.device.type != "cpu":
        return torch.stack(list(values)).to(device)
    batch = host_empty((len(values), *first.shape), first.dtype, device)
    return to_device(torch.stack(list(values), out=batch), device)


class _Copies:
    """Results on their way from the device where they are made, each of which is passed on while the next is made.

    Args:
        device: Where results are made.
        out: Where they go.
    """

    def __init__(self, device: torch.device, out: torch.device) -> None:
        self.device, self.out = device, out
        self._waiting: tuple[Tensor, torch.cuda.Event | None, Callable[[Tensor], None]] | None = None

    def add(self, values: Tensor, use: Callable[[Tensor], None]) -> None:
        """Begin to copy a result, and call `use` of the one before it."""
        if self.device.type == "cuda" and self.out.type == "cpu":
            copied = copy_to_host(values.contiguous())
            event = torch.cuda.Event()
            event.record(torch.cuda.current_stream(values.device))
        else:
            copied, event = values.to(self.out), None
        self.finish()
        self._waiting = copied, event, use

    def finish(self) -> None:
        """Call `use` of the last result."""
        if self._waiting is not None:
            copied, event, use = self._waiting
            self._waiting = None
            if event is not None:
                event.synchronize()
            use(copied)


def _mark(quality: Quality) -> object:
    return quality.numpy().tobytes() if isinstance(quality, Tensor) else quality
