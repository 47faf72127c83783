"""Batches of `.tacit` files for training: workers decode files to integers, the device makes images of them.

    Coded ──► Collate, in a worker ──► LatentBatch ──► Synthesiser, on the GPU ──► ImageBatch

What goes from the workers to the GPU are integers, in one tensor: about as many bytes as 8-bit pixels.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tacit import container
from tacit.codec import Box, Codec, Latents
from tacit.container import MAX_PIXELS, Header
from tacit.data.crops import Crop, RandomCrop
from tacit.data.datasets import Coded
from tacit.data.local_codec import local_codec
from tacit.errors import FileError, InvalidInput, PathError, TacitError

log = logging.getLogger(__name__)

TOGETHER = 16 << 20  # pixels that a GPU synthesises at once


@dataclass(frozen=True, kw_only=True)
class LatentBatch:
    """Images as integers (see `tacit.codec.Latents`)."""

    values: Tensor
    """The integers of all images, flat int16, one image behind the other."""

    shapes: tuple[tuple[int, int, int], ...]
    """The shape of each image's integers."""

    origins: tuple[tuple[int, int], ...]
    """Where each image's integers begin, in latents: row and column."""

    boxes: tuple[Box, ...]
    """The part of each image that is read: left, top, right, bottom."""

    headers: tuple[Header, ...]
    """The header of each file."""

    names: tuple[str, ...]
    """What messages call each file."""

    captions: tuple[str | None, ...]
    """The caption of each image."""

    fields: tuple[Mapping[str, bytes], ...]
    """The other members of each sample in its shard, by suffix."""

    skipped: tuple[str, ...]
    """The names of the files that were left out, with the reasons."""

    def __len__(self) -> int:
        return len(self.names)

    def latents(self) -> list[Latents]:
        """Return the integers of each image, as views of `values`."""
        parts = self.values.split([math.prod(shape) for shape in self.shapes])
        return [
            Latents(header, box, origin, part.view(shape))
            for header, box, origin, part, shape in zip(
                self.headers, self.boxes, self.origins, parts, self.shapes, strict=True
            )
        ]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> LatentBatch:
        """Return the batch on `device`."""
        return replace(self, values=self.values.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> LatentBatch:
        """Return the batch in memory from which a GPU reads directly."""
        return replace(self, values=self.values.pin_memory())


@dataclass(frozen=True, kw_only=True)
class ImageBatch:
    """Images as pixels. Grey images have three equal channels; alpha is left out."""

    images: Tensor | tuple[Tensor, ...]
    """[B, 3, H, W] uint8, channels last in memory, where all images are of one size; otherwise B tensors [3, H, W]."""

    sizes: Tensor
    """Height and width of the whole images [B, 2] int64."""

    boxes: Tensor
    """The part of each image that was read [B, 4] int64: left, top, right, bottom."""

    names: tuple[str, ...]
    """What messages call each file."""

    captions: tuple[str | None, ...]
    """The caption of each image."""

    fields: tuple[Mapping[str, bytes], ...]
    """The other members of each sample in its shard, by suffix."""

    skipped: tuple[str, ...]
    """The names of the files that were left out, with the reasons."""

    def __len__(self) -> int:
        return len(self.names)

    def pin_memory(self) -> ImageBatch:
        """Return the batch in memory from which a GPU reads directly."""
        images = self.images
        pinned = images.pin_memory() if isinstance(images, Tensor) else tuple(i.pin_memory() for i in images)
        return replace(self, images=pinned)


class Collate:
    """Decodes files to a `LatentBatch`: a `collate_fn` for torch's DataLoader, whose workers run it on one thread each.

    Args:
        crop: What of each image is read: a function of its width, its height and a random generator, or a number for
            `RandomCrop`. None reads whole images.
        on_error: "raise", or "skip". With "skip", files that are damaged, missing, too large or smaller than the crop
            are left out of their batch, which can then be empty, and are named in its `skipped`.
        max_pixels: The limit on width x height; None for no limit.
        pixels: Make an `ImageBatch` right in the worker, for training without a GPU.

    Raises:
        InvalidInput: `on_error` is neither "raise" nor "skip", or the number is no crop.
    """

    def __init__(
        self,
        crop: Crop | int | None = None,
        *,
        on_error: str = "raise",
        max_pixels: int | None = MAX_PIXELS,
        pixels: bool = False,
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise InvalidInput(f"on_error must be raise or skip, got {on_error!r}")
        self.crop = RandomCrop(crop) if isinstance(crop, int) else crop
        self.on_error, self.max_pixels, self.pixels = on_error, max_pixels, pixels

    def __call__(self, samples: Sequence[Coded]) -> LatentBatch | ImageBatch:
        """Decode files.

        Raises:
            FileError: A file is damaged, and errors raise.
            InvalidInput: An image is too large (ImageTooLarge) or smaller than the crop, and errors raise.
            PathError: A file is missing, and errors raise.
            MissingWeights: A file's weights are not on this machine, in any case.
        """
        codec = local_codec()
        decoded: list[tuple[Coded, Latents, str | None]] = []
        skipped: list[str] = []
        for sample in samples:
            try:
                decoded.append((sample, *self._decode(codec, sample)))
            except (FileError, InvalidInput, PathError) as error:
                reason = str(error) if sample.name in str(error) else f"{sample.name}: {error}"
                if self.on_error == "raise":
                    raise type(error)(reason) from error
                log.warning("left out: %s", reason)
                skipped.append(reason)
        latents = [one for _, one, _ in decoded]
        batch = LatentBatch(
            values=torch.from_numpy(np.concatenate([one.values.ravel() for one in latents]))
            if latents
            else torch.empty(0, dtype=torch.int16, device="cpu"),
            shapes=tuple((one.values.shape[0], one.values.shape[1], one.values.shape[2]) for one in latents),
            origins=tuple(one.origin for one in latents),
            boxes=tuple(one.box for one in latents),
            headers=tuple(one.header for one in latents),
            names=tuple(sample.name for sample, _, _ in decoded),
            captions=tuple(caption for _, _, caption in decoded),
            fields=tuple(sample.fields for sample, _, _ in decoded),
            skipped=tuple(skipped),
        )
        return _image_batch(batch, codec, 0) if self.pixels else batch

    def _decode(self, codec: Codec, sample: Coded) -> tuple[Latents, str | None]:
        """Return a file's integers and caption."""
        if isinstance(sample.data, TacitError):
            raise sample.data
        header, metadata, _ = container.read_header(sample.data)
        rng = np.random.default_rng(sample.seed)
        caption = sample.draw_caption(rng) or metadata.caption
        box = None if self.crop is None else self.crop(header.width, header.height, rng)
        return codec.read(sample.data, box=box, max_pixels=self.max_pixels), caption


class Synthesiser:
    """Makes images of integers on a device, where it keeps the models of all files that come.

    One at a time, images have the levels of `Codec.decode` on that device with that precision and number of threads;
    several together may be a level off in one value of 100,000.

    Args:
        device: Where images are made.
        precision: The precision of the codec, as for `tacit.Codec`.
        together: Pixels that run through a model at once. None is 16 million on a GPU, and one image at a time on a
            CPU, which is as fast there.
    """

    def __init__(
        self, device: torch.device | str = "cpu", *, precision: str = "auto", together: int | None = None
    ) -> None:
        self.codec = Codec(device=device, precision=precision)
        default = 0 if self.codec.device == "cpu" else TOGETHER
        self.together = default if together is None else together

    def __call__(self, batch: LatentBatch) -> ImageBatch:
        """Make a batch's images.

        Raises:
            MissingWeights: A file's weights are not on this machine.
            CorruptFile: Integers do not fit the model.
        """
        return _image_batch(batch.to(self.codec.device, non_blocking=True), self.codec, self.together)


def _image_batch(batch: LatentBatch, codec: Codec, together: int) -> ImageBatch:
    made = codec.synthesise(batch.latents(), together=together, on_device=True)
    images = [_three_channels(torch.from_numpy(one) if isinstance(one, np.ndarray) else one) for one in made]
    equal = len({i.shape for i in images}) == 1
    return ImageBatch(
        images=torch.stack(images).permute(0, 3, 1, 2) if equal else tuple(i.permute(2, 0, 1) for i in images),
        sizes=torch.tensor([(h.height, h.width) for h in batch.headers], dtype=torch.int64, device="cpu").view(-1, 2),
        boxes=torch.tensor(batch.boxes, dtype=torch.int64, device="cpu").view(-1, 4),
        names=batch.names,
        captions=batch.captions,
        fields=batch.fields,
        skipped=batch.skipped,
    )


def _three_channels(pixels: Tensor) -> Tensor:
    """Return pixels [H, W, 1 or 3] as [H, W, 3]."""
    return pixels.expand(-1, -1, 3)
