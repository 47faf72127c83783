"""Samples out of WebDataset shards of images and captions, read as a stream.

Shards are shuffled and dealt out to processes and their workers; samples are shuffled in a buffer. A stream has no
sample numbers: a resumed run goes on in a new order.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset

from tacit.captions.sidecar import member_captions
from tacit.data.shards import expand, read_rows, reader
from tacit.errors import InvalidInput
from tacit.training.dataset.image_files import BadImage, decode, random_crop
from tacit.training.dataset.samples import Recipe, Sample, finish

log = logging.getLogger(__name__)

IMAGES = ("jpg", "jpeg", "png", "webp", "avif")


class ShardSamples(IterableDataset[Sample]):
    """Samples without end, in an order that `recipe.seed` and `start` decide.

    urls: patterns of shards, such as "data/{0000..0099}.tar", "data/*.tar" or "s3://bucket/{000..999}.tar". buffer:
    samples from which the next is drawn. rank, processes: of this process. start: distinguishes resumed streams.

    In a shard, photo and caption share a name: 0001.jpg with 0001.txt, or with 0001.json that has "caption" or
    "captions". A sample without a readable image is passed over and counted.

    Raises: MissingExtra; PathError, for a pattern that finds nothing; InvalidInput, for fewer shards than workers.
    """

    def __init__(
        self,
        urls: Sequence[str],
        recipe: Recipe,
        *,
        buffer: int = 1000,
        rank: int = 0,
        processes: int = 1,
        start: int = 0,
    ) -> None:
        self.urls = tuple(found for pattern in urls for found in expand(pattern))
        self.recipe, self.buffer, self.start = recipe, buffer, start
        self.rank, self.processes = rank, processes

    def __iter__(self) -> Iterator[Sample]:
        number, readers = reader(self.rank, self.processes)
        if len(self.urls) < readers:
            raise InvalidInput(f"{len(self.urls)} shards for {readers} readers (processes x workers): each needs one")
        bad, epoch, read = 0, 0, 0
        while True:
            before = read
            # every reader shuffles alike and takes its own part
            order = np.random.default_rng([self.recipe.seed, self.start, epoch]).permutation(len(self.urls))
            rng = np.random.default_rng([self.recipe.seed, self.start, epoch, number + 1])
            mine = [self.urls[i] for i in order[number::readers]]
            for row in read_rows(mine, self.buffer, int(rng.integers(2**31)), _left):
                try:
                    pixels, captions = _parse(row)
                    crop = random_crop(pixels, self.recipe.crop, rng)
                except BadImage as error:
                    log.warning("%s of %s is left out: %s", row["__key__"], row["__url__"], error)
                    bad += 1
                    continue
                yield finish(crop, None, captions, self.recipe, rng, bad)
                bad = 0
                read += 1
            if read == before:
                raise InvalidInput(f"no usable photo in {len(mine)} shards, the first {mine[0]}")
            epoch += 1


def _left(url: str, error: Exception) -> None:
    log.warning("a shard is left: %s: %s", url, error)


def _parse(row: dict[str, Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    suffix = next((s for s in IMAGES if s in row), None)
    if suffix is None:
        raise BadImage(f"no image ({', '.join(k for k in row if not k.startswith('__'))})")
    return decode(io.BytesIO(row[suffix])), member_captions(row)
