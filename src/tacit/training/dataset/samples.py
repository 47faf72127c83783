"""Training samples: a crop of an image, a caption, and a quality.

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
from tacit.training.dataset.caption_choice import draw_caption
from tacit.training.dataset.image_files import BadImage
from tacit.training.dataset.pool import ImagePool

log = logging.getLogger(__name__)

MAX_BAD = 100  # bad images in a row that end a run
MAX_AREA = 600_000  # pixels beyond which a larger image is not drawn more often


class ImageSource(Protocol):
    """Images that are asked for by number: a pool, or files."""

    @property
    def captions(self) -> Sequence[tuple[str, ...]]:
        """The captions of each image: none, one or several."""

    def __len__(self) -> int:
        """Return how many images there are, good or bad."""

    def name(self, index: int) -> str:
        """Return what messages call an image."""

    def crop(self, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """Cut a random crop [size, size, 3] uint8 from an image.

        Raises:
            BadImage: The image cannot be read, or is smaller than the crop.
        """


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How samples are drawn."""

    seed: int = 0
    """The seed of everything random."""

    crop: int = 192
    """Height and width of the crops in pixels."""

    join: bool = False
    """Read all captions of an image as one, instead of drawing one of them."""

    dropout: float = 0.0
    """Share of the samples whose caption the encoder does not see, 0 to 1."""

    by_area: bool = False
    """Draw images by their area, instead of each image once in an epoch."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample."""

    pixels: np.ndarray | None
    """The crop [size, size, 3] uint8; None where `place` is set."""

    place: tuple[int, int, bool] | None
    """Where the crop is in a pool (`ImagePool.place`); None where `pixels` is set."""

    caption: str | None
    """The image's caption."""

    caption_seen: bool
    """Whether the encoder sees the caption."""

    quality: float
    """The quality, 0 to 100."""

    seed: int
    """The seed of the sample's noise."""

    bad: int = 0
    """How many bad images were passed over for this sample."""


class Samples(Dataset[Sample]):
    """The samples of a run by their numbers, from 0 without end.

    Args:
        images: Where crops come from.
        recipe: How samples are drawn.
        on_device: Give places in a pool instead of crops; `tacit.training.dataset.pool.cut_crops` cuts them.

    Raises:
        InvalidInput: The images must be a pool, and are not.
    """

    def __init__(self, images: ImageSource, recipe: Recipe, *, on_device: bool = False) -> None:
        self.images, self.recipe = images, recipe
        self._pool = images if isinstance(images, ImagePool) else None
        if self._pool is None and (on_device or recipe.by_area):
            raise InvalidInput("the images must be a pool, for crops cut on the device and for images drawn by area")
        self.on_device = on_device
        self._reported: set[int] = set()  # bad images, each of which is named once
        self._shares: np.ndarray | None = None
        if recipe.by_area and self._pool is not None:
            area = np.minimum(self._pool.shapes.prod(axis=1), MAX_AREA).astype(float)
            self._shares = area / area.sum()
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def __getitem__(self, n: int) -> Sample:
        rng = np.random.default_rng([self.recipe.seed, n])
        index = self._index(n, rng)
        for bad in range(MAX_BAD):
            try:
                return self._sample(index, rng, bad)
            except BadImage as error:
                if index not in self._reported:
                    log.warning("%s is left out: %s", self.images.name(index), error)
                self._reported.add(index)
                index = int(rng.integers(len(self.images)))
        raise InvalidInput(f"{MAX_BAD} bad images in a row, the last {self.images.name(index)}")

    def _index(self, n: int, rng: np.random.Generator) -> int:
        count = len(self.images)
        if self._shares is not None:
            return int(rng.choice(count, p=self._shares))
        epoch, position = divmod(n, count)
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.recipe.seed, 2**32, epoch]).permutation(count)
        return int(self._order[1][position])

    def _sample(self, index: int, rng: np.random.Generator, bad: int) -> Sample:
        recipe = self.recipe
        if self.on_device and self._pool is not None:
            pixels, place = None, self._pool.place(index, recipe.crop, rng)
        else:
            pixels, place = self.images.crop(index, recipe.crop, rng), None
        return complete_sample(pixels, place, self.images.captions[index], recipe, rng, bad)


def complete_sample(
    pixels: np.ndarray | None,
    place: tuple[int, int, bool] | None,
    captions: Sequence[str],
    recipe: Recipe,
    rng: np.random.Generator,
    bad: int,
) -> Sample:
    """Draw what a sample is besides its crop: the caption, the quality and the seed of the noise.

    Args:
        pixels: The crop, or None.
        place: Where the crop is in a pool, or None.
        captions: The image's captions.
        recipe: How samples are drawn.
        rng: The sample's generator, after the crop was drawn.
        bad: How many bad images were passed over.
    """
    # Keyword arguments are evaluated in this order, which is the order of the random numbers.
    return Sample(
        pixels=pixels,
        place=place,
        caption=draw_caption(captions, rng, recipe.join),
        caption_seen=bool(rng.random() >= recipe.dropout),
        quality=float(rng.random() * 100),
        seed=int(rng.integers(2**62)),
        bad=bad,
    )
