"""Training samples: a crop of a photo, a caption, a quality.

Sample n of a run is a function of the run's seed and of n, and of nothing else. So a run that is resumed, or split over
workers, processes and machines, sees the same samples as one that is not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch.utils.data import Dataset

from tacit.errors import InvalidInput
from tacit.training.dataset.caption_choice import draw
from tacit.training.dataset.image_files import BadImage
from tacit.training.dataset.pool import ImagePool

log = logging.getLogger(__name__)

TRIES = 100  # bad images in a row that end a run


class ImageSource(Protocol):
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


class Samples(Dataset[Sample]):
    """Sample n, for n from 0 without end.

    on_device: give places in a pool, to be cut by `tacit.training.dataset.pool.cut`, instead of crops.
    """

    def __init__(self, photos: ImageSource, recipe: Recipe, *, on_device: bool = False) -> None:
        self.photos, self.recipe = photos, recipe
        self._pool = photos if isinstance(photos, ImagePool) else None
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
