"""Regions coded after their latents are refined, which runs on torch whatever engine codes the others."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tacit.codec.model import Array
from tacit.codec.refinement import HALO, Progress, Refiner, Window
from tacit.codec.synthesis import region_quality, stack_qualities
from tacit.codec.torch_model import TorchModel, as_torch
from tacit.codec.torch_threads import torch_threads
from tacit.container import Region
from tacit.entropy.streams import Stream
from tacit.entropy.units import LATENT_STEP
from tacit.text.caption_tokens import CaptionTokens

if TYPE_CHECKING:
    from tacit.codec.encoding import ImageEncoding


class RefinedCoding:
    """Codes regions with what a refinement makes of their latents.

    Args:
        model: The model.
        refiner: Refines latents with the same model.
        seconds: The most that all refinements from one `begin` to the next may take; None for no limit.
        progress: Told how far an encoding's refinements are.
    """

    def __init__(
        self, model: TorchModel, refiner: Refiner, seconds: float | None = None, progress: Progress | None = None
    ) -> None:
        self.model, self.refiner = model, refiner
        self._seconds, self._progress = seconds, progress
        self._end: float | None = None
        self._ended_early = False

    def begin(self) -> None:
        """Begin an encoding, whose time counts from now."""
        self._end = None if self._seconds is None else time.monotonic() + self._seconds
        self._ended_early = False

    def compress(
        self,
        members: Sequence[tuple[ImageEncoding, Region]],
        quality: float | None,
        span: tuple[float, float] = (0.0, 1.0),
    ) -> tuple[list[Stream], Array]:
        """Entropy-code regions of one shape whose refinements see windows of one shape.

        Args:
            members: Each image and its region.
            quality: 0 to 100; None for weights of one fixed rate.
            span: The part of the encoding's refinements that these are: from where to where, of 0 to 1. Of the time
                that is left they take what lies from there to the end in this proportion.

        Returns:
            The stream of each region, and their latents in sixteenths, int16.
        """
        first, region = members[0]
        height, width = first.latent_shape(region)
        of_regions = stack_qualities([encoding.quality(quality, region) for encoding, region in members], height, width)
        with torch_threads():
            refined = self._refine(self.window(members, quality), *span)
            return self.model.coding.compress_scaled(*refined, as_torch(of_regions), first.progressive)

    def _refine(self, window: Window, start: float, stop: float) -> tuple[Tensor, Tensor]:
        end = None
        if self._end is not None:
            now = time.monotonic()
            end = now + (self._end - now) * (stop - start) / (1 - start)

        def tell(part: float) -> None:
            if self._progress is not None:
                self._progress(start + (stop - start) * part)

        refinement = self.refiner(window, tell, end)
        if refinement.ended_early and not self._ended_early:
            self._ended_early = True
            warnings.warn(f"effort: refinement ended early, after {self._seconds:.3g} seconds", stacklevel=2)
        return refinement.y, refinement.z

    def window(self, members: Sequence[tuple[ImageEncoding, Region]], quality: float | None) -> Window:
        """Return what the refinement of regions sees; the arguments are those of `compress`."""
        pixels = np.concatenate([encoding.tile(region) for encoding, region in members])
        y = self.model.analyse(pixels, CaptionTokens.stack([encoding.tokens for encoding, _ in members]))
        (encoding, region), *_ = members
        seen = _seen(encoding, region)
        left, top, _, _ = encoding.tile_box(region)
        rows, columns = encoding.window(seen, top, left)
        high, wide = (slice(LATENT_STEP * one.start, LATENT_STEP * one.stop) for one in (rows, columns))
        x = self.model.unit(np.ascontiguousarray(pixels[:, high, wide]))
        real = torch.zeros_like(x[:, :1], dtype=torch.bool)
        for number, member in enumerate(members):
            inside = _seen(*member)
            real[number, :, : inside.height, : inside.width] = True
        shape = rows.stop - rows.start, columns.stop - columns.start
        qualities = [region_quality(one.header(quality), _seen(one, part), *shape) for one, part in members]
        own_rows, own_columns = encoding.window(region, seen.top, seen.left)
        return Window(
            x=x,
            y=y[:, :, rows, columns],
            quality=as_torch(stack_qualities(qualities, *shape)),
            rows=own_rows,
            columns=own_columns,
            real=real,
            color=encoding.raster.pixels.shape[2] == 3,
        )


def _seen(encoding: ImageEncoding, region: Region) -> Region:
    """Return the part of the image that the refinement of a region sees."""
    left, top, right, bottom = encoding.tile_box(region)
    reach = HALO * LATENT_STEP
    begin, above = max(left, region.left - reach), max(top, region.top - reach)
    return replace(
        region,
        left=begin,
        top=above,
        width=min(right, region.left + region.width + reach) - begin,
        height=min(bottom, region.top + region.height + reach) - above,
    )
