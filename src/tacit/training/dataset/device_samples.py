"""Samples that are drawn on the device that trains: crops, mirrors, captions and qualities, a batch at once.

Nothing here waits for the CPU or makes a tensor there, so that drawing can be part of a captured step. Unlike those of
`tacit.training.dataset.samples`, the samples come from the device's own generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.errors import InvalidInput
from tacit.text.tokens import TextTokens
from tacit.training.config import DataConfig
from tacit.training.dataset.caption_choice import join_captions
from tacit.training.dataset.pool import ImagePool, cut_crops
from tacit.training.dataset.samples import MAX_AREA
from tacit.training.dataset.token_cache import TokenCache
from tacit.training.quality_maps import random_quality_maps


@dataclass(frozen=True, kw_only=True)
class DeviceBatch:
    """A batch of samples on the device."""

    pixels: Tensor
    """The crops [B, 3, S, S] uint8."""

    tokens: TextTokens
    """The tokens of the captions that the encoder sees."""

    quality: Tensor
    """The qualities [B], 0 to 100, or maps of these [B, S/16, S/16]."""


class Steps:
    """What Lightning iterates over where batches are drawn on the device: numbers, without end."""

    def __iter__(self) -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1


class _Captions:
    """The tokens of all captions of a pool, one behind the other on the device.

    Args:
        captions: The captions of each image.
        join: Whether an image's captions are read as one.
        tokens: Gives the tokens of a caption.
        device: Where they are kept.
    """

    def __init__(
        self, captions: Sequence[tuple[str, ...]], *, join: bool, tokens: TokenCache, device: torch.device
    ) -> None:
        rows: list[Tensor] = []
        weights: list[Tensor] = []
        first: list[int] = []
        count: list[int] = []
        for several in captions:
            texts = [join_captions(several)] if join and several else several
            first.append(len(rows))
            count.append(len(texts))
            for text in texts:
                one = tokens([text])
                rows.append(one.embeddings[one.mask].half())
                weights.append(one.weights[one.mask])
        if not rows:
            rows, weights = [torch.zeros(0, tokens.width, dtype=torch.float16)], [torch.ones(0)]
        lengths = torch.tensor([len(r) for r in rows])
        self.longest = max(1, int(lengths.max()))
        empty = torch.zeros(1, tokens.width, dtype=torch.float16)  # behind the last, so that there is always a row
        self._rows = torch.cat([*rows, empty]).to(device)
        self._weights = torch.cat([*weights, torch.ones(1)]).to(device)
        self._starts = (lengths.cumsum(0) - lengths).to(device)
        self._lengths = lengths.to(device)
        self._first = torch.tensor(first).to(device)
        self._count = torch.tensor(count).to(device)

    def draw(self, images: Tensor, dropout: float) -> TextTokens:
        """Return the tokens of one caption of each image [B], of which a share is not seen."""
        device = images.device
        count = self._count[images]
        drawn = (torch.rand(len(images), device=device) * count).long()
        which = self._first[images] + torch.minimum(drawn, (count - 1).clamp_min(0))
        which = which.clamp_max(len(self._starts) - 1)  # an image without captions behind the last caption
        seen = (count > 0) & (torch.rand(len(images), device=device) >= dropout)
        place = torch.arange(self.longest, device=device)
        mask = (place < self._lengths[which][:, None]) & seen[:, None]
        at = (self._starts[which][:, None] + place).clamp_max(len(self._rows) - 1)
        weights = torch.where(mask, self._weights[at], torch.ones_like(self._weights[at]))
        return TextTokens(self._rows[at].float() * mask[..., None], mask, weights)


class DeviceSamples:
    """Draws batches from a pool on a device.

    Args:
        pool: The images.
        data: The configuration of the data.
        tokens: Gives the tokens of captions.
        device: Where samples are drawn.

    Raises:
        InvalidInput: No image is as large as a crop.
    """

    def __init__(self, pool: ImagePool, data: DataConfig, tokens: TokenCache, device: torch.device) -> None:
        self.data, self.device = data, device
        shapes = torch.from_numpy(pool.shapes)
        usable = shapes.min(dim=1).values >= data.crop
        if not bool(usable.any()):
            raise InvalidInput(f"{data.path}: no image has {data.crop} pixels or more a side")
        area = shapes.prod(dim=1).clamp(max=MAX_AREA).double() if data.by_area else torch.ones(len(pool)).double()
        area = area * usable
        self._shares = (area / area.sum()).cumsum(0).to(device)
        self._last = int(usable.nonzero()[-1])
        self._shapes = shapes.to(device)
        self._offsets = torch.from_numpy(pool.offsets).to(device)
        self._pixels = torch.from_numpy(pool.pixels).to(device)
        self._captions = _Captions(pool.captions, join=data.join_captions, tokens=tokens, device=device)

    def draw(self) -> DeviceBatch:
        """Draw a batch."""
        data, device = self.data, self.device
        count = data.batch
        position = torch.rand(count, device=device, dtype=torch.float64)
        images = torch.searchsorted(self._shares, position, right=True).clamp_max(self._last)
        height, width = self._shapes[images].unbind(1)
        top = (torch.rand(count, device=device) * (height - data.crop + 1)).long()
        left = (torch.rand(count, device=device) * (width - data.crop + 1)).long()
        mirrored = torch.rand(count, device=device) < 0.5
        start = self._offsets[images] + (top * width + left) * 3
        crops = cut_crops(self._pixels, torch.stack([start, width * 3, mirrored.long()], dim=1), data.crop)
        quality = torch.rand(count, device=device) * 100
        if data.quality_maps:
            quality = random_quality_maps(quality, None, data.crop, data.quality_maps, data.quality_spread)
        return DeviceBatch(pixels=crops, tokens=self._captions.draw(images, data.caption_dropout), quality=quality)
