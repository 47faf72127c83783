"""The data of a run, as Lightning asks for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tacit.errors import InvalidInput
from tacit.training.config import POOLS, Config
from tacit.training.dataset.batches import Batch, BatchNumbers, SampleCollate
from tacit.training.dataset.caption_choice import possible_captions
from tacit.training.dataset.device_samples import DeviceSamples, Steps
from tacit.training.dataset.image_files import BadImage, ImageFiles
from tacit.training.dataset.pool import ImagePool, cut_crops, decode_files
from tacit.training.dataset.samples import ImageSource, Recipe, Samples
from tacit.training.dataset.shard_samples import ShardSamples
from tacit.training.dataset.sources import open_images
from tacit.training.dataset.token_cache import TokenCache


class TrainingData(L.LightningDataModule):
    """Batches of images, captions and qualities for a model.

    Args:
        config: The configuration of the run.
        encoder: Name of the model's text encoder.
        width: Channels of the text encoder's embeddings.
        start: Steps of the run that were made before; its batches are those that would have come next.
        images: The images, where they are open already.

    Raises:
        PathError: The images or their captions cannot be read.
        InvalidInput: The data are not of the kind that the configuration says.
        MissingExtra: A package that the kind needs is not installed.
    """

    def __init__(
        self,
        config: Config,
        encoder: str,
        width: int,
        start: int = 0,
        *,
        images: ImageSource | None = None,
    ) -> None:
        super().__init__()
        self.config, self.start = config, start
        data = config.data
        cache = data.cache or (data.path if data.kind == "prepared" else "")
        self.tokens = TokenCache(encoder, width, Path(cache) if cache else None, weighted=data.word_weights)
        self.recipe = Recipe(
            seed=config.run.seed,
            crop=data.crop,
            join=data.join_captions,
            dropout=data.caption_dropout,
            by_area=data.by_area and data.kind in POOLS,
        )
        self.images: ImageSource | None = images
        if images is None and data.kind != "shards":
            self.images = open_images(data)
        self._drawn = False
        self._pixels: Tensor | None = None

    @property
    def epoch_size(self) -> int | None:
        """How many images an epoch has; None for a stream."""
        return None if self.images is None else len(self.images)

    def draw_on_device(self) -> None:
        """Leave it to `device_samples` to make batches, for which images in files are decoded into memory.

        Raises:
            InvalidInput: None of the images can be used.
        """
        self._drawn = True
        if isinstance(self.images, ImageFiles):
            self.images = decode_files(self.images, self.config.data.crop)

    def device_samples(self, device: torch.device) -> DeviceSamples:
        """Put the images and the captions' tokens on a device, where batches are drawn.

        Raises:
            InvalidInput: The images are not in memory, or all smaller than a crop.
        """
        if not isinstance(self.images, ImagePool):
            raise InvalidInput(f"batches cannot be drawn on the device from data.kind {self.config.data.kind}")
        return DeviceSamples(self.images, self.config.data, self.tokens, device)

    def prepare_data(self) -> None:
        """Embed the captions that the cache lacks; Lightning calls this on one process of each machine."""
        if self.images is not None and self.tokens.folder is not None and self.config.data.kind != "prepared":
            self.tokens.write(possible_captions(self.images.captions, self.config.data.join_captions))

    def train_dataloader(self) -> Any:
        """Return a loader of this process' share of the batches, which are without end."""
        if self._drawn:
            return Steps()
        data = self.config.data
        rank, processes = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        numbers = BatchNumbers(data.batch, self.start, rank, processes)
        options: dict[str, Any] = {
            "collate_fn": SampleCollate(self.tokens),
            "num_workers": data.workers,
            "persistent_workers": data.workers > 0,
            "prefetch_factor": 4 if data.workers else None,
            "pin_memory": torch.cuda.is_available(),
        }
        if self.images is None:
            return DataLoader(self._stream(rank, processes), batch_size=data.batch // processes, **options)
        samples = Samples(self.images, self.recipe, on_device=data.on_device)
        return DataLoader(samples, batch_sampler=numbers, **options)

    def on_after_batch_transfer(self, batch: Batch | int, dataloader_idx: int) -> Batch | int:
        """Cut the crops of a batch, where the pool is on the device."""
        if isinstance(batch, int) or batch.places is None:
            return batch
        if self._pixels is None:
            assert isinstance(self.images, ImagePool)
            self._pixels = torch.from_numpy(np.ascontiguousarray(self.images.pixels)).to(batch.places.device)
        return replace(batch, pixels=cut_crops(self._pixels, batch.places, self.config.data.crop), places=None)

    def crops(self, count: int, seed: int = 0) -> Tensor:
        """Cut random crops outside of training, for the start of a model and for freezing.

        Returns:
            The crops [count, 3, S, S] uint8.

        Raises:
            InvalidInput: Too few of the images can be used.
        """
        arrays = self._stream_crops(count) if self.images is None else self._image_crops(self.images, count, seed)
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)

    def _stream(self, rank: int = 0, processes: int = 1, *, fresh: bool = False) -> ShardSamples:
        data = self.config.data
        start = 0 if fresh else self.start
        return ShardSamples(
            data.path.split(), self.recipe, buffer=data.shuffle, rank=rank, processes=processes, start=start
        )

    def _stream_crops(self, count: int) -> list[np.ndarray]:
        arrays: list[np.ndarray] = []
        for sample in self._stream(fresh=True):
            assert sample.pixels is not None
            arrays.append(sample.pixels)
            if len(arrays) == count:
                break
        return arrays

    def _image_crops(self, images: ImageSource, count: int, seed: int) -> list[np.ndarray]:
        data = self.config.data
        rng = np.random.default_rng([seed, 2**33])
        arrays: list[np.ndarray] = []
        tries = 0
        while len(arrays) < count:
            tries += 1
            if tries > 2 * count + 100:
                raise InvalidInput(
                    f"{data.path}: too few images can be read and have {data.crop} pixels or more a side"
                )
            try:
                arrays.append(images.crop(int(rng.integers(len(images))), data.crop, rng))
            except BadImage:
                continue
        return arrays
