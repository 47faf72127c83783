"""WebDataset shards: tar files of photos and captions, local or behind any fsspec URL, read as a stream.

Shards are shuffled and dealt out to processes and their workers; samples are shuffled in a buffer. A stream has no
sample numbers: a resumed run goes on in a new order.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset

from tacit.captions.sidecar import member_captions
from tacit.data.photos import BadImage, decode, random_crop
from tacit.data.samples import Recipe, Sample, finish
from tacit.errors import InvalidInput, MissingExtra, PathError

log = logging.getLogger(__name__)

IMAGES = ("jpg", "jpeg", "png", "webp", "avif")


class Shards(IterableDataset[Sample]):
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


def reader(rank: int, processes: int) -> tuple[int, int]:
    """The number of this worker of this process among all readers, and how many there are."""
    import torch

    worker = torch.utils.data.get_worker_info()
    number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
    return rank * workers + number, processes * workers


def read_rows(
    urls: Sequence[str], buffer: int, seed: int, failed: Callable[[str, Exception], object]
) -> Iterator[dict[str, Any]]:
    """The samples in shards, as bytes by suffix, shuffled in a buffer (0: as they stand). failed(url, error) hears of
    shards that cannot be read, or not to their end.

    Raises: MissingExtra.
    """
    webdataset = _webdataset()
    from webdataset.tariterators import group_by_keys, tar_file_expander

    current = ""

    def on_error(error: Exception) -> bool:
        failed(current, error)
        return True  # go on with the next

    def opened() -> Iterator[dict[str, Any]]:
        import fsspec

        nonlocal current
        for current in urls:
            try:
                with fsspec.open(current, "rb") as stream:
                    yield {"url": current, "stream": stream}
            except Exception as error:  # what a filesystem of fsspec's raises has no common base
                on_error(error)

    rows: Iterator[dict[str, Any]] = group_by_keys(tar_file_expander(opened(), handler=on_error), handler=on_error)
    return iter(webdataset.filters.shuffle(buffer, seed=seed)(rows)) if buffer else rows


def expand(pattern: str) -> list[str]:
    """The shards that a pattern means. Raises: MissingExtra, PathError, InvalidInput."""
    _webdataset()
    import fsspec
    from braceexpand import braceexpand

    found: list[str] = []
    for url in braceexpand(pattern):
        try:
            files, _ = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise MissingExtra(f"{url}: {error}") from error
        except ValueError as error:
            raise InvalidInput(f"{url}: {error}") from error
        if any(c in url for c in "*?["):
            prefix = "" if "://" not in url else f"{url.split('://', 1)[0]}://"
            found += sorted(p if "://" in p or not prefix else prefix + p for p in files.glob(url))
        else:
            found.append(url)
    if not found:
        raise PathError(f"shards {pattern}: none found")
    return found


def _left(url: str, error: Exception) -> None:
    log.warning("a shard is left: %s: %s", url, error)


def _parse(row: dict[str, Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    suffix = next((s for s in IMAGES if s in row), None)
    if suffix is None:
        raise BadImage(f"no image ({', '.join(k for k in row if not k.startswith('__'))})")
    return decode(io.BytesIO(row[suffix])), member_captions(row)


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError as error:
        raise MissingExtra("shards need webdataset: pip install 'tacit[train]'") from error
    return webdataset
