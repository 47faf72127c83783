"""Batches of samples: which samples are in each, and their tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tacit.errors import InvalidInput
from tacit.text.tokens import TextTokens
from tacit.training.dataset.samples import Sample
from tacit.training.dataset.token_cache import TokenCache


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The tensors of B samples."""

    pixels: Tensor | None
    """The crops [B, 3, S, S] uint8; None where `places` is set."""

    places: Tensor | None
    """Where the crops are in a pool [B, 3] int64; None where `pixels` is set."""

    tokens: TextTokens
    """The tokens of the captions that the encoder sees."""

    captions: tuple[str | None, ...]
    """The images' own captions, which the encoder may not see."""

    quality: Tensor
    """The qualities [B], 0 to 100."""

    seeds: Tensor
    """The seeds of the samples' noise [B] int64."""

    bad: int
    """How many bad images were passed over."""

    def __len__(self) -> int:
        return len(self.captions)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the batch on `device`."""

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
        """Return the batch with its crops in memory from which a GPU reads directly."""
        pixels = None if self.pixels is None else self.pixels.pin_memory()
        return replace(self, pixels=pixels)


class BatchNumbers:
    """A batch sampler: the numbers of the samples that one of several processes takes of each batch.

    Args:
        batch: Samples in a batch, over all processes.
        start: How many batches of the run came before.
        rank: The number of this process.
        processes: How many processes there are.

    Raises:
        InvalidInput: The batch cannot be split evenly.
    """

    def __init__(self, batch: int, start: int = 0, rank: int = 0, processes: int = 1) -> None:
        if batch % processes:
            raise InvalidInput(f"data.batch must be a multiple of the {processes} processes, got {batch}")
        self.batch, self.start, self.rank, self.processes = batch, start, rank, processes

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch // self.processes
        step = self.start
        while True:
            first = step * self.batch + self.rank * share
            yield list(range(first, first + share))
            step += 1


class SampleCollate:
    """Makes a batch of samples; a `collate_fn` for torch's DataLoader."""

    def __init__(self, tokens: TokenCache) -> None:
        self.tokens = tokens

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Stack the samples' crops or places, and look up the tokens of their captions."""
        pixels = places = None
        crops = [s.pixels for s in samples if s.pixels is not None]
        if crops:
            pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
        else:
            places = torch.tensor([s.place for s in samples], dtype=torch.int64)
        return Batch(
            pixels=pixels,
            places=places,
            tokens=self.tokens([s.caption if s.caption_seen else None for s in samples]),
            captions=tuple(s.caption for s in samples),
            quality=torch.tensor([s.quality for s in samples], dtype=torch.float32),
            seeds=torch.tensor([s.seed for s in samples], dtype=torch.int64),
            bad=sum(s.bad for s in samples),
        )
