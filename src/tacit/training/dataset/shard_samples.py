"""Samples from WebDataset shards of images and captions, read as a stream.

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
from tacit.data.shards import expand_pattern, read_members, reader_number
from tacit.errors import InvalidInput
from tacit.training.dataset.image_files import BadImage, decode_image, random_crop
from tacit.training.dataset.samples import Recipe, Sample, complete_sample

log = logging.getLogger(__name__)

IMAGES = ("jpg", "jpeg", "png", "webp", "avif")


class ShardSamples(IterableDataset[Sample]):
    """Samples without end, in an order that `recipe.seed` and `start` decide.

    In a shard, an image and its caption share a name: 0001.jpg with 0001.txt, or with 0001.json that has "caption" or
    "captions". A sample without a readable image is passed over and counted.

    Args:
        patterns: Patterns of shards, such as "data/{0000..0099}.tar", "data/*.tar" or "s3://bucket/{000..999}.tar".
        recipe: How samples are drawn.
        buffer: Samples among which the next one is drawn.
        rank: The number of this process.
        processes: How many processes there are.
        start: A number that gives a resumed stream another order.

    Raises:
        MissingExtra: webdataset is not installed.
        PathError: A pattern finds nothing.
        InvalidInput: While reading, there are fewer shards than workers.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        recipe: Recipe,
        *,
        buffer: int = 1000,
        rank: int = 0,
        processes: int = 1,
        start: int = 0,
    ) -> None:
        self.urls = tuple(url for pattern in patterns for url in expand_pattern(pattern))
        self.recipe, self.buffer, self.start = recipe, buffer, start
        self.rank, self.processes = rank, processes

    def __iter__(self) -> Iterator[Sample]:
        number, readers = reader_number(self.rank, self.processes)
        if len(self.urls) < readers:
            raise InvalidInput(
                f"there must be a shard for each of {readers} readers (processes times workers), got {len(self.urls)}"
            )
        bad, epoch, read = 0, 0, 0
        while True:
            before = read
            # Every reader shuffles alike and takes its own part.
            order = np.random.default_rng([self.recipe.seed, self.start, epoch]).permutation(len(self.urls))
            rng = np.random.default_rng([self.recipe.seed, self.start, epoch, number + 1])
            own = [self.urls[i] for i in order[number::readers]]
            for members in read_members(own, IMAGES, self.buffer, int(rng.integers(2**31)), _report_shard):
                try:
                    pixels, captions = _parse(members)
                    crop = random_crop(pixels, self.recipe.crop, rng)
                except BadImage as error:
                    log.warning("%s of %s is left out: %s", members["__key__"], members["__url__"], error)
                    bad += 1
                    continue
                yield complete_sample(crop, None, captions, self.recipe, rng, bad)
                bad = 0
                read += 1
            if read == before:
                raise InvalidInput(f"{own[0]}: no usable image in this shard and {len(own) - 1} others")
            epoch += 1


def _report_shard(url: str, error: Exception) -> None:
    log.warning("%s: the rest of the shard is left out: %s", url, error)


def _parse(members: dict[str, Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the pixels and the captions of a sample.

    Raises:
        BadImage: The sample has no readable image.
    """
    suffix = next((s for s in IMAGES if s in members), None)
    if suffix is None:
        raise BadImage(f"no image among the members {', '.join(k for k in members if not k.startswith('__'))}")
    return decode_image(io.BytesIO(members[suffix])), member_captions(members)
