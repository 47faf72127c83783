"""A run's data, as Lightning asks for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tacit.errors import InvalidInput
from tacit.training.config import POOLS, Config, DataConfig
from tacit.training.dataset.batches import Batch, BatchNumbers, SampleCollate
from tacit.training.dataset.bundle import read_bundle, write_bundle
from tacit.training.dataset.caption_cache import CaptionCache
from tacit.training.dataset.caption_choice import texts
from tacit.training.dataset.image_files import BadImage, ImageFiles, decode, read_coco, read_folder, read_jsonl
from tacit.training.dataset.pool import ImagePool, cut, open_pool
from tacit.training.dataset.samples import ImageSource, Recipe, Samples

log = logging.getLogger(__name__)


class TrainingData(L.LightningDataModule):
    """Batches for a model whose words come from `encoder` and are `width` wide.

    start: steps that the run has behind it; its batches are those that would have come next.
    """

    def __init__(self, config: Config, encoder: str, width: int, start: int = 0) -> None:
        super().__init__()
        self.config, self.start = config, start
        data = config.data
        cache = data.cache or (data.path if data.kind == "prepared" else "")
        self.captions = CaptionCache(encoder, width, Path(cache) if cache else None, weighted=data.word_weights)
        self.recipe = Recipe(
            config.run.seed, data.crop, data.join_captions, data.caption_dropout, data.by_area and data.kind in POOLS
        )
        self.photos: ImageSource | None = None if data.kind == "shards" else open_photos(data)
        self._pixels: Tensor | None = None

    @property
    def epoch_size(self) -> int | None:
        """Photos; None for a stream."""
        return None if self.photos is None else len(self.photos)

    def prepare_data(self) -> None:
        """Embed what the cache lacks; on one process of each machine."""
        if self.photos is not None and self.captions.folder is not None and self.config.data.kind != "prepared":
            self.captions.write(texts(self.photos.captions, self.config.data.join_captions))

    def train_dataloader(self) -> Any:
        """Batches without end; of each, this process' share."""
        data = self.config.data
        rank, processes = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        numbers = BatchNumbers(data.batch, self.start, rank, processes)
        options: dict[str, Any] = {
            "collate_fn": SampleCollate(self.captions),
            "num_workers": data.workers,
            "persistent_workers": data.workers > 0,
            "prefetch_factor": 4 if data.workers else None,
            "pin_memory": torch.cuda.is_available(),
        }
        if self.photos is None:
            shards = open_shards(data, self.recipe, rank, processes, self.start)
            return DataLoader(shards, batch_size=data.batch // processes, **options)
        samples = Samples(self.photos, self.recipe, on_device=data.on_device)
        return DataLoader(samples, batch_sampler=numbers, **options)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Cut the crops, where the pool is on the device."""
        if batch.places is None:
            return batch
        if self._pixels is None:
            assert isinstance(self.photos, ImagePool)
            self._pixels = torch.from_numpy(np.ascontiguousarray(self.photos.pixels)).to(batch.places.device)
        return replace(batch, pixels=cut(self._pixels, batch.places, self.config.data.crop), places=None)

    def crops(self, count: int, seed: int = 0) -> Tensor:
        """Crops to look at before training, [count, 3, S, S] uint8."""
        data = self.config.data
        rng = np.random.default_rng([seed, 2**33])
        found: list[np.ndarray] = []
        if self.photos is None:
            for sample in open_shards(data, self.recipe, 0, 1, 0):
                assert sample.pixels is not None
                found.append(sample.pixels)
                if len(found) == count:
                    break
        tries = 0
        while self.photos is not None and len(found) < count:
            tries += 1
            if tries > 2 * count + 100:
                raise InvalidInput(f"{data.path}: too few of the photos can be read and are {data.crop} pixels or more")
            try:
                found.append(self.photos.crop(int(rng.integers(len(self.photos))), data.crop, rng))
            except BadImage:
                continue
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)


def open_photos(data: DataConfig) -> ImageSource:
    """Photos that can be asked for by number. Raises: PathError, InvalidInput, MissingExtra."""
    path = Path(data.path)
    if data.kind == "samples":
        return sample_photos()
    if not data.path:
        raise InvalidInput(f"data.path is needed with data.kind {data.kind}")
    if data.kind == "pool":
        return open_pool(path, in_memory=data.in_memory)
    if data.kind == "prepared":
        return read_bundle(path)
    if data.kind == "folder":
        return read_folder(path)
    if data.kind == "jsonl":
        return read_jsonl(path, Path(data.captions) if data.captions else None)
    if not data.captions:
        raise InvalidInput("data.captions is needed with data.kind coco: the captions' JSON")
    return read_coco(path, Path(data.captions))


def sample_photos() -> ImagePool:
    """The photographs and captions of the demo. Raises: MissingExtra."""
    from tacit.demo.samples import SAMPLES, sample_image

    return ImagePool.of((np.asarray(sample_image(s.name)), (s.caption,)) for s in SAMPLES)


def prepare(config: Config, encoder: str, width: int, folder: Path) -> tuple[int, int]:
    """Write a run's photos and embedded captions to pieces, for data.kind prepared. Returns how many of each.

    Raises: PathError, InvalidInput, MissingExtra, MissingWeights.
    """
    photos = open_photos(config.data)
    if not isinstance(photos, ImageFiles):
        raise InvalidInput(f"data.kind {config.data.kind} cannot be prepared: a folder, a JSONL list or COCO can")
    bad: Callable[[str, str], object] = partial(log.warning, "%s is left out: %s")
    count = write_bundle(photos, folder, config.data.crop, bad)
    captions = CaptionCache(encoder, width, folder, weighted=config.data.word_weights)
    return count, captions.write(texts(photos.captions, config.data.join_captions))


def pictures(images: str, count: int) -> Iterator[tuple[str, np.ndarray, str | None]]:
    """Names, pixels and first captions of photos to validate on: "samples", a folder or a JSONL list. Those that cannot
    be read are named in the log. Raises: PathError; InvalidInput, where none can be read."""
    if images == "samples":
        pool = sample_photos()
        for i in range(min(count, len(pool))):
            yield pool.name(i), pool.photo(i), pool.captions[i][0]
        return
    path = Path(images)
    photos = read_jsonl(path) if path.suffix == ".jsonl" else read_folder(path)
    found = 0
    for file, captions in zip(photos.paths, photos.captions, strict=True):
        if found == count:
            return
        try:
            pixels = decode(file)
        except BadImage as error:
            log.warning("validation goes without %s: %s", file, error)
            continue
        found += 1
        yield file.stem, pixels, captions[0] if captions else None
    if not found:
        raise InvalidInput(f"validation.images {images}: none of the photos can be read")


def open_shards(data: DataConfig, recipe: Recipe, rank: int, processes: int, start: int) -> Any:
    """The stream of `data`. Raises: MissingExtra, PathError."""
    from tacit.training.dataset.shard_samples import ShardSamples

    return ShardSamples(data.path.split(), recipe, buffer=data.shuffle, rank=rank, processes=processes, start=start)
