"""Batches of `.tacit` files for training: workers decode files to integers, the device makes pictures of them.

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


@dataclass(frozen=True)
class LatentBatch:
    """Pictures as integers.

    values: int16, those of all pictures in a row; shapes, origins, boxes and headers: of each (see `Latents`). names,
    captions, fields: of each. skipped: name and reason of those that were left out.
    """

    values: Tensor
    shapes: tuple[tuple[int, int, int], ...]
    origins: tuple[tuple[int, int], ...]
    boxes: tuple[Box, ...]
    headers: tuple[Header, ...]
    names: tuple[str, ...]
    captions: tuple[str | None, ...]
    fields: tuple[Mapping[str, bytes], ...]
    skipped: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def pictures(self) -> list[Latents]:
        """Each picture's own; views of `values`."""
        parts = self.values.split([math.prod(shape) for shape in self.shapes])
        return [
            Latents(header, box, origin, part.view(shape))
            for header, box, origin, part, shape in zip(
                self.headers, self.boxes, self.origins, parts, self.shapes, strict=True
            )
        ]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> LatentBatch:
        """The same on `device`."""
        return replace(self, values=self.values.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> LatentBatch:
        """In memory from which a GPU reads directly."""
        return replace(self, values=self.values.pin_memory())


@dataclass(frozen=True)
class ImageBatch:
    """Pictures.

    images: [B, 3, H, W] uint8, channels last in memory, where all are of one size; otherwise B tensors [3, H, W]. Grey
    pictures have three equal channels, alpha is left out. sizes: [B, 2], height and width of the whole pictures; boxes:
    [B, 4], what of them was read: left, top, right, bottom. names, captions, fields, skipped: as in `LatentBatch`.
    """

    images: Tensor | tuple[Tensor, ...]
    sizes: Tensor
    boxes: Tensor
    names: tuple[str, ...]
    captions: tuple[str | None, ...]
    fields: tuple[Mapping[str, bytes], ...]
    skipped: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def pin_memory(self) -> ImageBatch:
        """In memory from which a GPU reads directly."""
        images = self.images
        pinned = images.pin_memory() if isinstance(images, Tensor) else tuple(i.pin_memory() for i in images)
        return replace(self, images=pinned)


class Collate:
    """Files to a `LatentBatch`: a `collate_fn` for torch's DataLoader, whose workers run it on one thread each.

    crop: what of each picture is read: a function of its width, its height and a random generator, or a number for
    `RandomCrop`; None: the whole. on_error: "raise", or "skip": files that are damaged, missing, too large or smaller
    than the crop are left out of their batch, which may then be empty, and named in its `skipped`. max_pixels: limit on
    width x height, None for none. pixels: make an `ImageBatch` of them right there, in the worker: for training without
    a GPU.

    Calling it raises: FileError, InvalidInput (ImageTooLarge), PathError, if such errors raise; MissingWeights in any
    case.
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
            raise InvalidInput(f"on_error {on_error!r}: raise or skip are possible")
        self.crop = RandomCrop(crop) if isinstance(crop, int) else crop
        self.on_error, self.max_pixels, self.pixels = on_error, max_pixels, pixels

    def __call__(self, samples: Sequence[Coded]) -> LatentBatch | ImageBatch:
        codec = local_codec()
        read: list[tuple[Coded, Latents, str | None]] = []
        skipped: list[str] = []
        for sample in samples:
            try:
                read.append((sample, *self._read(codec, sample)))
            except (FileError, InvalidInput, PathError) as error:
                reason = str(error) if sample.name in str(error) else f"{sample.name}: {error}"
                if self.on_error == "raise":
                    raise type(error)(reason) from error
                log.warning("left out: %s", reason)
                skipped.append(reason)
        latents = [one for _, one, _ in read]
        batch = LatentBatch(
            torch.cat([one.values.flatten() for one in latents]) if latents else torch.empty(0, dtype=torch.int16),
            tuple((one.values.shape[0], one.values.shape[1], one.values.shape[2]) for one in latents),
            tuple(one.origin for one in latents),
            tuple(one.box for one in latents),
            tuple(one.header for one in latents),
            tuple(sample.name for sample, _, _ in read),
            tuple(caption for _, _, caption in read),
            tuple(sample.fields for sample, _, _ in read),
            tuple(skipped),
        )
        return _images(batch, codec, 0) if self.pixels else batch

    def _read(self, codec: Codec, sample: Coded) -> tuple[Latents, str | None]:
        """Integers and the caption."""
        if isinstance(sample.data, TacitError):
            raise sample.data
        header, metadata, _ = container.read_header(sample.data)
        rng = np.random.default_rng(sample.seed)
        caption = sample.draw_caption(rng) or metadata.caption
        box = None if self.crop is None else self.crop(header.width, header.height, rng)
        return codec.read(sample.data, box=box, max_pixels=self.max_pixels), caption


class Synthesiser:
    """Integers to pictures, on a device, where the models of all files that come are kept.

    precision: as for `tacit.Codec`. together: pixels that run through a model at once; None: 16 million on a GPU, and
    one picture at a time on a CPU, which is as fast there. One at a time the levels are those of `Codec.decode` on that
    device with that precision and number of threads; together a sample in 100,000 may be a level off.

    Calling it raises: MissingWeights, CorruptFile.
    """

    def __init__(
        self, device: torch.device | str = "cpu", *, precision: str = "auto", together: int | None = None
    ) -> None:
        self.codec = Codec(device=device, precision=precision)
        default = 0 if self.codec.device.type == "cpu" else TOGETHER
        self.together = default if together is None else together

    def __call__(self, batch: LatentBatch) -> ImageBatch:
        return _images(batch.to(self.codec.device, non_blocking=True), self.codec, self.together)


def _images(batch: LatentBatch, codec: Codec, together: int) -> ImageBatch:
    images = [_three(i) for i in codec.synthesise(batch.pictures(), together=together)]
    equal = len({i.shape for i in images}) == 1
    return ImageBatch(
        torch.stack(images).permute(0, 3, 1, 2) if equal else tuple(i.permute(2, 0, 1) for i in images),
        torch.tensor([(h.height, h.width) for h in batch.headers], dtype=torch.int64).view(-1, 2),
        torch.tensor(batch.boxes, dtype=torch.int64).view(-1, 4),
        batch.names,
        batch.captions,
        batch.fields,
        batch.skipped,
    )


def _three(pixels: Tensor) -> Tensor:
    """[H, W, 1 or 3] -> [H, W, 3]."""
    return pixels.expand(-1, -1, 3)
