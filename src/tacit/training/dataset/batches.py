"""Batches of samples: which samples are in each, and their tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tacit.errors import InvalidInput
from tacit.text.tokens import TextTokens
from tacit.training.dataset.caption_cache import CaptionCache
from tacit.training.dataset.samples import Sample


@dataclass(frozen=True)
class Batch:
    """pixels: [B, 3, S, S] uint8, or places [B, 3] int64 in a pool; tokens of what the encoder reads; captions: the
    photos' own; quality [B]; seeds [B] int64; bad: images passed over."""

    pixels: Tensor | None
    places: Tensor | None
    tokens: TextTokens
    captions: tuple[str | None, ...]
    quality: Tensor
    seeds: Tensor
    bad: int

    def __len__(self) -> int:
        return len(self.captions)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same on `device`."""

        def move(t: Tensor) -> Tensor:
            return t.to(device, non_blocking=non_blocking)

        return replace(
            self,
            pixels=None if self.pixels is None else move(self.pixels),
            places=None if self.places is None else move(self.places),
            tokens=self.tokens.to(device),
            quality=move(self.quality),
            seeds=move(self.seeds),
        )

    def pin_memory(self) -> Batch:
        """In memory from which a GPU reads directly."""
        pixels = None if self.pixels is None else self.pixels.pin_memory()
        return replace(self, pixels=pixels)


class BatchNumbers:
    """A batch sampler: the numbers of the samples that one of several processes takes of each batch.

    batch: samples over all processes; start: batches that were before.
    """

    def __init__(self, batch: int, start: int = 0, rank: int = 0, processes: int = 1) -> None:
        if batch % processes:
            raise InvalidInput(f"a batch of {batch} cannot be split evenly over {processes} processes")
        self.batch, self.start, self.rank, self.processes = batch, start, rank, processes

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch // self.processes
        step = self.start
        while True:
            first = step * self.batch + self.rank * share
            yield list(range(first, first + share))
            step += 1


class SampleCollate:
    """Samples to a batch, captions to tokens."""

    def __init__(self, captions: CaptionCache) -> None:
        self.captions = captions

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        pixels = places = None
        crops = [s.pixels for s in samples if s.pixels is not None]
        if crops:
            pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
        else:
            places = torch.tensor([s.place for s in samples], dtype=torch.int64)
        return Batch(
            pixels,
            places,
            self.captions([s.caption if s.seen else None for s in samples]),
            tuple(s.caption for s in samples),
            torch.tensor([s.quality for s in samples], dtype=torch.float32),
            torch.tensor([s.seed for s in samples], dtype=torch.int64),
            sum(s.bad for s in samples),
        )
