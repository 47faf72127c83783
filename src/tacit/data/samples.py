"""Training samples: a crop of a photo, a caption, a quality.

Sample n of a run is a function of the run's seed and of n, and of nothing else. So a run that is resumed, or split over
workers, processes and machines, sees the same samples as one that is not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tacit.data.captions import CaptionCache, draw
from tacit.data.photos import BadImage
from tacit.data.pool import Pool
from tacit.errors import InvalidInput
from tacit.text.tokens import TextTokens

log = logging.getLogger(__name__)

TRIES = 100  # bad images in a row that end a run


class Photos(Protocol):
    """Where crops come from: a pool, or files."""

    @property
    def captions(self) -> Sequence[tuple[str, ...]]:
        """Of each photo."""

    def __len__(self) -> int:
        """Photos, good or bad."""

    def name(self, index: int) -> str:
        """What a message calls the photo."""

    def crop(self, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """[size, size, 3] uint8. Raises: BadImage."""


@dataclass(frozen=True)
class Recipe:
    """How samples are drawn. crop: pixels; join: a photo's captions as one; dropout: share of samples whose caption the
    encoder does not see; by_area: photos are drawn by their size (up to 600,000 pixels) rather than each once an epoch.
    """

    seed: int = 0
    crop: int = 192
    join: bool = False
    dropout: float = 0.0
    by_area: bool = False


@dataclass(frozen=True)
class Sample:
    """pixels: [size, size, 3] uint8, or place: where a pool is cut. caption: the photo's; seen: whether the encoder
    reads it; quality: 0..100; seed: of the noise; bad: images passed over for this one."""

    pixels: np.ndarray | None
    place: tuple[int, int, bool] | None
    caption: str | None
    seen: bool
    quality: float
    seed: int
    bad: int = 0


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


class Samples(Dataset[Sample]):
    """Sample n, for n from 0 without end.

    on_device: give places in a pool, to be cut by `tacit.data.pool.cut`, instead of crops.
    """

    def __init__(self, photos: Photos, recipe: Recipe, *, on_device: bool = False) -> None:
        self.photos, self.recipe = photos, recipe
        self._pool = photos if isinstance(photos, Pool) else None
        if self._pool is None and (on_device or recipe.by_area):
            raise InvalidInput("crops cut on the device, and photos drawn by their size, need a pool")
        self.on_device = on_device
        self._told: set[int] = set()  # photos that were named once, which is enough
        self._share: np.ndarray | None = None
        if recipe.by_area and self._pool is not None:
            area = np.minimum(self._pool.shapes.prod(axis=1), 600_000).astype(float)
            self._share = area / area.sum()
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def __getitem__(self, n: int) -> Sample:
        rng = np.random.default_rng([self.recipe.seed, n])
        index = self._index(n, rng)
        for bad in range(TRIES):
            try:
                return self._sample(index, rng, bad)
            except BadImage as error:
                if index not in self._told:
                    log.warning("%s is left out: %s", self.photos.name(index), error)
                self._told.add(index)
                index = int(rng.integers(len(self.photos)))
        raise InvalidInput(f"{TRIES} bad images in a row, the last {self.photos.name(index)}")

    def _index(self, n: int, rng: np.random.Generator) -> int:
        count = len(self.photos)
        if self._share is not None:
            return int(rng.choice(count, p=self._share))
        epoch, position = divmod(n, count)
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.recipe.seed, 2**32, epoch]).permutation(count)
        return int(self._order[1][position])

    def _sample(self, index: int, rng: np.random.Generator, bad: int) -> Sample:
        recipe = self.recipe
        if self.on_device and self._pool is not None:
            pixels, place = None, self._pool.place(index, recipe.crop, rng)
        else:
            pixels, place = self.photos.crop(index, recipe.crop, rng), None
        return finish(pixels, place, self.photos.captions[index], recipe, rng, bad)


def finish(
    pixels: np.ndarray | None,
    place: tuple[int, int, bool] | None,
    captions: Sequence[str],
    recipe: Recipe,
    rng: np.random.Generator,
    bad: int,
) -> Sample:
    """What a sample is besides its crop."""
    caption = draw(captions, rng, recipe.join)
    seen = bool(rng.random() >= recipe.dropout)
    return Sample(pixels, place, caption, seen, float(rng.random() * 100), int(rng.integers(2**62)), bad)


class Numbers:
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


class Collate:
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
