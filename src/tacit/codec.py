"""The codec: an image and its caption to the bytes of a `.tacit` file, and back.

    encode: image ─► tiles ─► analysis (text injected) ─► y ─► entropy model, region by region ─► container
    decode: container ─► entropy model, region by region ─► latents ─► synthesis, tile by tile ─► image

Decoding imports no text encoder, tokenizer or caption code.
"""

from __future__ import annotations

import io
import math
import operator
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tacit import container, weights
from tacit import image as images
from tacit.architectures import ARCHITECTURES
from tacit.container import MAX_PIXELS, Container, Header, Region, region_grid
from tacit.errors import CorruptFile, InvalidInput, PathError, TargetNotReached
from tacit.image import ImageSource, Raster
from tacit.models.coding import LATENT_STEP, CodingModel, Quality
from tacit.picture import Box, Latents, qualities, quality_at, synthesise
from tacit.text.tokens import TextTokens

if TYPE_CHECKING:
    from tacit.text.encoders import TextEncoder
    from tacit.words import Weigher

T = TypeVar("T")

FileSource = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO

DEFAULT_QUALITY = 50.0
STEER = 20.0  # steps of quality between what a caption names and what it does not
REGIONS_AT_A_TIME = 4  # on a CPU; each takes some 100 MB
BATCH_PIXELS = 2 << 20  # regions of one shape are coded together up to this many pixels
SIZE_TOLERANCE = 0.005  # a size target is met by at most this much less
PSNR_TOLERANCE = 0.02  # dB above a PSNR target that end the search


@dataclass(frozen=True)
class EncodeResult:
    """What encoding made. quality: the one used, None for fixed-rate weights; bpp: bits of the whole file per pixel;
    psnr: dB of the decoded image, where the target was a PSNR or the image was reconstructed; caption: the one used;
    image: the decoded image, where it was reconstructed."""

    data: bytes
    width: int
    height: int
    quality: float | None
    bpp: float
    psnr: float | None
    caption: str | None
    image: Image.Image | None = None


@dataclass(frozen=True)
class Target:
    """What an encoding shall reach: at most one of a quality 0..100, a size in bytes, bits per pixel, a PSNR in dB."""

    quality: float | None = None
    size: int | None = None
    bpp: float | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        given = [n for n in ("quality", "size", "bpp", "psnr") if getattr(self, n) is not None]
        for name in given:
            if not isinstance(getattr(self, name), Real):
                raise InvalidInput(f"{name} {getattr(self, name)!r}: a number is needed")
        if len(given) > 1:
            raise InvalidInput(f"one of quality, size, bpp and psnr can be asked for, not {' and '.join(given)}")
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise InvalidInput(f"quality {self.quality}: 0 to 100 are possible")
        for name in given:
            if name != "quality" and not 0 < getattr(self, name) < math.inf:
                raise InvalidInput(f"{name} {getattr(self, name)}: a positive number is needed")


class DamageWarning(UserWarning):
    """A part of a file was damaged and left out; only when salvaging."""


class Codec:
    """Encodes and decodes with one model, kept loaded.

    model: a name or the path of a weights file; decoding takes whatever weights a file names. device: of the
    computation. threads: for the work of this codec (None: torch's own setting). precision: of the transforms, "fp32",
    "bf16", or "auto": bf16 where the processor has it. text_encoder: instead of the model's own, an encoder or what
    `tacit.text.encoders.load_encoder` takes, such as "clip-published:FOLDER" for imported weights without the hub.
    word_weights: let a caption's names and rare nouns draw more of the encoder's attention (`tacit.words`); a Weigher
    of yours, or True for the usual one. steer: steps of quality between what a caption names and what it does not (0 to
    100); with 0 a caption moves no bits from one place to another.

    Raises: UnknownModel, MissingWeights, CorruptWeights, InvalidInput, PathError, MissingExtra.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = weights.DEFAULT,
        *,
        device: torch.device | str = "cpu",
        threads: int | None = None,
        precision: str = "auto",
        text_encoder: TextEncoder | str | None = None,
        word_weights: bool | Weigher = False,
        steer: float = STEER,
    ) -> None:
        try:
            self.device = torch.device(device)
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise InvalidInput(f"device {device}: {str(error).splitlines()[0]}") from error
        if not 0 <= steer <= 100:
            raise InvalidInput(f"steer {steer}: 0 to 100 are possible")
        if threads is not None and threads < 1:
            raise InvalidInput(f"threads {threads}: at least 1 is needed")
        self.threads = threads
        self.precision = _precision(precision, self.device)
        self.path = weights.locate(model)
        self._text_encoder = text_encoder
        self.steer = steer
        self._weigher = None if word_weights is False else _weigher(word_weights)
        self._words: TextEncoder | None = None
        self._models: dict[Path, CodingModel] = {}
        self._lock = threading.Lock()

    # -- encoding -------------------------------------------------------------------------------------------------

    def encode(
        self,
        image: ImageSource,
        caption: str | None = None,
        quality: float | None = None,
        *,
        size: int | None = None,
        bpp: float | None = None,
        psnr: float | None = None,
        quality_map: np.ndarray | None = None,
        store_caption: bool = False,
        keep_metadata: bool = True,
    ) -> bytes:
        """The bytes of a `.tacit` file.

        image: a Pillow image, an array [H, W(, 1..4)], a tensor [3, H, W], a path, bytes or a binary file. caption:
        what the picture shows; it guides the encoder. quality: 0..100, 50 if no target is given; or one target: size
        (bytes of the whole file, at most), bpp (bits per pixel, at most), psnr (dB, at least). quality_map: [ceil(H /
        64), ceil(W / 64)], -100 to 100, added to the quality in each square of 64 pixels, rounded to whole numbers.
        store_caption: put the caption into the file. keep_metadata: keep ICC, EXIF and XMP.

        Raises: InvalidInput (TargetNotReached, ImageTooLarge), PathError, WeightsError, MissingExtra.
        """
        return self.encode_result(
            image,
            caption,
            quality,
            size=size,
            bpp=bpp,
            psnr=psnr,
            quality_map=quality_map,
            store_caption=store_caption,
            keep_metadata=keep_metadata,
        ).data

    def encode_result(
        self,
        image: ImageSource,
        caption: str | None = None,
        quality: float | None = None,
        *,
        size: int | None = None,
        bpp: float | None = None,
        psnr: float | None = None,
        quality_map: np.ndarray | None = None,
        store_caption: bool = False,
        keep_metadata: bool = True,
        reconstruct: bool = False,
    ) -> EncodeResult:
        """As `encode`, with what was reached. reconstruct: also the image that `decode` makes of the file, to the bit,
        for the price of the synthesis alone: the decoder's integers are at hand."""
        target = Target(quality, size, bpp, psnr)
        photo = images.load(image)
        with self._threads():
            model = self._model(self.path)
            target = _allowed(target, model)
            job = _Job(self, model, photo, caption, store_caption, keep_metadata, quality_map)
            return job.result(job.search(target, reconstruct))

    def prepare(
        self,
        image: ImageSource,
        caption: str | None = None,
        *,
        quality_map: np.ndarray | None = None,
        store_caption: bool = False,
        keep_metadata: bool = True,
    ) -> Prepared:
        """An image that is analysed once, for several encodings.

        Raises: as `encode`.
        """
        photo = images.load(image)
        with self._threads():
            return Prepared(
                _Job(self, self._model(self.path), photo, caption, store_caption, keep_metadata, quality_map)
            )

    def encode_batch(
        self,
        sources: Sequence[ImageSource],
        captions: Sequence[str | None] | None = None,
        quality: float | None = None,
        *,
        store_caption: bool = False,
        keep_metadata: bool = True,
    ) -> list[bytes]:
        """Several images at one quality; those of equal shape run through the model together.

        The files are those that `encode` makes, but for float noise in the transforms.
        """
        made = self.encode_batch_latents(
            sources, captions, quality, store_caption=store_caption, keep_metadata=keep_metadata
        )
        return [data for data, _ in made]

    def encode_batch_latents(
        self,
        sources: Sequence[ImageSource],
        captions: Sequence[str | None] | None = None,
        quality: float | None = None,
        *,
        store_caption: bool = False,
        keep_metadata: bool = True,
    ) -> list[tuple[bytes, Tensor]]:
        """As `encode_batch`, each file with the integers that were coded: what `latents` must give for it."""
        captions = [None] * len(sources) if captions is None else captions
        if isinstance(captions, str):
            raise InvalidInput("captions: a list with one for each image is needed, not one text")
        if len(captions) != len(sources):
            raise InvalidInput(f"{len(captions)} captions for {len(sources)} images")
        photos = [images.load(s) for s in sources]
        with self._threads():
            model = self._model(self.path)
            chosen = _allowed(Target(quality), model).quality
            jobs = [
                _Job(self, model, photo, caption, store_caption, keep_metadata)
                for photo, caption in zip(photos, captions, strict=True)
            ]
            streams: list[list[bytes]] = [[b""] * len(job.regions) for job in jobs]
            latents = [job.no_latents() for job in jobs]
            for batch in _equal_shapes(jobs, model):
                tiles = torch.cat([jobs[j].tile(jobs[j].regions[r])[0] for j, r in batch])
                tokens = TextTokens.stack([jobs[j].tokens for j, _ in batch])
                inner = [jobs[j].tile_inside(jobs[j].regions[r]) for j, r in batch]
                y = model.analyse(tiles, tokens.to(self.device))
                y = torch.stack([y[i][:, rows, columns] for i, (rows, columns) in enumerate(inner)])
                coded, integers = model.compress(
                    y, qualities([jobs[j].quality(chosen, jobs[j].regions[r]) for j, r in batch], *y.shape[2:])
                )
                for (j, r), stream, part in zip(batch, coded, integers, strict=True):
                    streams[j][r] = stream
                    rows, columns = jobs[j].latents_of(jobs[j].regions[r])
                    latents[j][:, rows, columns] = part
            return [(job.file(chosen, s), y) for job, s, y in zip(jobs, streams, latents, strict=True)]

    def bit_map(
        self,
        image: ImageSource,
        caption: str | None = None,
        quality: float | None = None,
        *,
        quality_map: np.ndarray | None = None,
    ) -> np.ndarray:
        """Where the bits of a file go: float32 [ceil(H / 16), ceil(W / 16)], bits for 16x16 pixels each.

        It adds up to the coded regions of the file that `encode` makes of the same arguments, but for the coder's last
        words, some 50 bits for each region. Where weights pad regions to more, the padding's bits are at the border.

        Raises: as `encode`.
        """
        photo = images.load(image)
        with self._threads():
            model = self._model(self.path)
            quality = _allowed(Target(quality), model).quality
            job = _Job(self, model, photo, caption, False, False, quality_map)
            found = np.zeros((-(-photo.height // LATENT_STEP), -(-photo.width // LATENT_STEP)), np.float32)
            for region in job.regions:
                bits = model.bits(job.analyse(region), job.quality(quality, region))[0]
                rows = np.minimum(region.top // LATENT_STEP + np.arange(bits.shape[0]), found.shape[0] - 1)
                columns = np.minimum(region.left // LATENT_STEP + np.arange(bits.shape[1]), found.shape[1] - 1)
                np.add.at(found, (rows[:, None], columns), bits)
            return found

    # -- decoding -------------------------------------------------------------------------------------------------

    def decode(
        self,
        data: FileSource,
        *,
        box: Box | None = None,
        salvage: bool = False,
        max_pixels: int | None = MAX_PIXELS,
    ) -> Image.Image:
        """The image of a `.tacit` file, as Pillow image with its metadata in `info`.

        data: bytes, a path or a binary file. box: (left, top, right, bottom) in pixels, decoded without the rest.
        salvage: leave damaged parts out, with a DamageWarning for each, instead of raising; lost regions are grey, lost
        alpha opaque. max_pixels: limit on width x height, None for none.

        Raises: CorruptFile, UnsupportedFile, MissingWeights, ImageTooLarge, InvalidInput, PathError.
        """
        return self._decode_one(data, box, salvage, max_pixels)

    def decode_batch(self, files: Sequence[FileSource], *, max_pixels: int | None = MAX_PIXELS) -> list[Image.Image]:
        """Several files; regions of equal shape run through the model together."""
        parsed = [container.read(read_bytes(f), max_pixels=max_pixels) for f in files]
        with self._threads():
            return self._decode(parsed, None, False)

    def latents(self, data: FileSource) -> Tensor:
        """The decoded integers of a whole file: y in sixteenths of a step, [M, h, w] int16. Equal on every machine."""
        parsed = container.read(read_bytes(data))
        with self._threads():
            model = self._for_file(parsed.header)
            picture = _Picture(parsed, model, None)
            self._fill([picture], model, salvage=False)
            return picture.values

    def unclamped(self, data: FileSource) -> Tensor:
        """The picture of a whole file before it is clamped and rounded: [3, H, W] float32, about 0 to 1. Published
        figures of learned codecs are often of this. It is made in one piece, whatever memory that takes."""
        parsed = container.read(read_bytes(data))
        with self._threads():
            model = self._for_file(parsed.header)
            picture = _Picture(parsed, model, None)
            self._fill([picture], model, salvage=False)
            quality = quality_at(parsed.header, 0, 0, *picture.values.shape[1:])
            x = model.synthesise(picture.values[None].to(self.device), quality, clamp=False)[0]
        return x[:, : parsed.header.height, : parsed.header.width].cpu()

    def read(self, data: FileSource, *, box: Box | None = None, max_pixels: int | None = MAX_PIXELS) -> Latents:
        """A file, or a box of its picture, as far as integers; `synthesise` makes the pixels of them. In between they
        may go to another process or device.

        Raises: as `decode`.
        """
        parsed = container.read(read_bytes(data), max_pixels=max_pixels)
        with self._threads():
            picture = _Picture(parsed, self._for_file(parsed.header), box)
            self._fill([picture], picture.model, salvage=False)
            return picture.latents().cut(picture.model.synthesis_reach)

    def synthesise(self, pictures: Sequence[Latents], *, together: int = 0) -> list[Tensor]:
        """The pixels of what `read` gave: [H, W, 3] or, where it is grey, [H, W, 1] uint8, on the codec's device.

        together: run pictures and boxes of one size through the model at once, up to so many pixels, which is what a
        GPU wants; then a sample in 100,000 may be a level off. With 0 the levels are those of `decode`.

        Raises: MissingWeights, CorruptFile.
        """
        with self._threads():
            models = [self._for_file(p.header) for p in pictures]
            return synthesise(pictures, models, device=self.device, out=self.device, together=together)

    def _decode_one(self, data: FileSource, box: Box | None, salvage: bool, max_pixels: int | None) -> Image.Image:
        """Its warnings are those of the caller's caller."""
        parsed = container.read(read_bytes(data), salvage=salvage, max_pixels=max_pixels)
        with self._threads():
            return self._decode([parsed], box, salvage)[0]

    def _decode(self, files: Sequence[Container], box: Box | None, salvage: bool) -> list[Image.Image]:
        pictures = [_Picture(file, self._for_file(file.header), box) for file in files]
        for model in {id(p.model): p.model for p in pictures}.values():
            self._fill([p for p in pictures if p.model is model], model, salvage)
        photos = [p.photo(self.device, salvage) for p in pictures]
        for picture in pictures:
            for line in (*picture.file.damage, *picture.damage):
                warnings.warn(DamageWarning(line), stacklevel=4)
        return [images.to_pil(photo) for photo in photos]

    def _fill(self, pictures: Sequence[_Picture], model: CodingModel, salvage: bool) -> None:
        """Decode the regions that the pictures need into their latents."""
        groups: dict[tuple[int, int, float | None, bool], list[tuple[_Picture, int]]] = {}
        for picture in pictures:
            for index in picture.needed:
                if picture.file.regions[index] is not None:
                    header = picture.file.header
                    mapped = header.quality_map is not None
                    key = (*picture.size(picture.regions[index]), None if mapped else header.quality, mapped)
                    groups.setdefault(key, []).append((picture, index))
        for (height, width, *_), members in groups.items():
            step = max(1, BATCH_PIXELS // (height * width * LATENT_STEP**2))
            for start in range(0, len(members), step):
                part = members[start : start + step]
                streams = [p.file.regions[i] or b"" for p, i in part]
                of_each = [_quality_of(p.header, p.regions[i], height, width) for p, i in part]
                try:
                    found = model.decompress(streams, height, width, qualities(of_each, height, width)).cpu()
                except CorruptFile:
                    found = None  # one of them; find out which
                for n, (picture, index) in enumerate(part):
                    try:
                        latents = (
                            found[n]
                            if found is not None
                            else model.decompress([streams[n]], height, width, of_each[n])[0]
                        )
                    except CorruptFile as error:
                        if not salvage:
                            raise CorruptFile(f"chunk R {index}: {error}") from error
                        picture.damage.append(f"chunk R {index}: {error}")
                    else:
                        picture.put(picture.regions[index], latents.cpu())

    # -- parts ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """torch's thread count outlives a call: set it for the work and put it back."""
        if self.threads is None:
            yield
            return
        with _thread_count(self.threads):
            yield

    def _model(self, path: Path) -> CodingModel:
        with self._lock:
            if path not in self._models:
                self._models[path] = weights.load(path, self.device, self.precision)
            return self._models[path]

    def _for_file(self, header: Header) -> CodingModel:
        about = weights.describe(self.path)
        if about.decode_hash != header.weights_hash:
            about = weights.for_file(header.weights_hash, header.model_id)
        model = self._model(about.path)
        if header.model_id != ARCHITECTURES[about.architecture].number:
            raise CorruptFile(f"chunk H: model {header.model_id}, but its weights are those of {about.architecture}")
        if (header.quality is not None) != model.variable_rate:
            fixed = "one fixed rate" if header.quality is None else f"quality {header.quality:g}"
            raise CorruptFile(
                f"chunk H: {fixed}, but its weights have {'many rates' if model.variable_rate else 'one'}"
            )
        return model

    def _tokens(self, model: CodingModel, caption: str | None) -> TextTokens:
        if caption is None and self._text_encoder is None and not model.published:
            return TextTokens.empty(1, model.config.text_width)
        if self._text_encoder is None or isinstance(self._text_encoder, str):
            from tacit.text.encoders import load_encoder

            self._text_encoder = load_encoder(self._text_encoder or model.text_encoder)
        tokens = self._text_encoder([caption])
        if self._weigher is not None and caption is not None:
            if model.published:
                raise InvalidInput(
                    "these weights take no weights of words: the published network has no place for them"
                )
            from tacit.words.tokens import with_weights

            tokens = with_weights(tokens, self._text_encoder, [caption], self._weigher)
        if tokens.embeddings.shape[2] != model.config.text_width:
            raise InvalidInput(
                f"text encoder gives {tokens.embeddings.shape[2]} channels, the model takes {model.config.text_width}"
            )
        return tokens

    def _steering(self, photo: Raster, caption: str) -> np.ndarray | None:
        """What to add to the quality of each cell; None where it is nothing."""
        from tacit.grounding import ENCODER, steering
        from tacit.text.encoders import load_encoder

        with self._lock:
            if self._words is None:
                self._words = load_encoder(ENCODER)
        found = steering(photo.pixels, self._words([caption]), self.steer)
        return found if found.any() else None


class Prepared:
    """An image and its caption, made by `Codec.prepare`; its analysis is kept from the first encoding on."""

    def __init__(self, job: _Job) -> None:
        self._job = job

    @property
    def photo(self) -> Raster:
        """The image as it is encoded: upright, 8 bits."""
        return self._job.photo

    def encode(
        self,
        quality: float | None = None,
        *,
        size: int | None = None,
        bpp: float | None = None,
        psnr: float | None = None,
        reconstruct: bool = False,
    ) -> EncodeResult:
        """As `Codec.encode_result`, repeating only what depends on the quality."""
        job = self._job
        with job.codec._threads():
            target = _allowed(Target(quality, size, bpp, psnr), job.model)
            job.analysed(0)
            return job.result(job.search(target, reconstruct))


@dataclass(frozen=True)
class _Found:
    """One encoding; with what the decoder will make of it, where that was asked for."""

    quality: float | None
    data: bytes
    decoded: Raster | None = None
    psnr: float | None = None


class _Job:
    """One image on its way to a file."""

    def __init__(
        self,
        codec: Codec,
        model: CodingModel,
        photo: Raster,
        caption: str | None,
        store_caption: bool,
        metadata: bool,
        quality_map: np.ndarray | None = None,
    ) -> None:
        if not isinstance(caption, str | None):
            raise InvalidInput(f"caption: text is needed, not {type(caption).__name__}")
        caption = caption.strip() or None if caption is not None else None
        self.codec, self.model, self.photo, self.caption = codec, model, photo, caption
        kept = photo.metadata if metadata else container.Metadata()
        self.metadata = replace(kept, caption=caption if store_caption else None)
        self.alpha = None if photo.alpha is None else images.encode_alpha(photo.alpha)
        self.regions = region_grid(photo.width, photo.height)
        if caption is not None:
            container.check_caption(caption)
        self.tokens = codec._tokens(model, caption)
        self.about = weights.describe(codec.path)
        offsets = quality_map
        if codec.steer and caption is not None and model.quality_maps:
            steered = codec._steering(photo, caption)
            if steered is not None:
                offsets = steered if offsets is None else np.clip(offsets + steered, -100, 100)
        self.quality_map = None if offsets is None else _offsets(offsets, photo, model)
        self._y: list[Tensor] | None = None

    @property
    def pixels(self) -> int:
        return self.photo.width * self.photo.height

    def header(self, quality: float | None) -> Header:
        identifier = ARCHITECTURES[self.about.architecture].number
        return Header(
            width=self.photo.width,
            height=self.photo.height,
            color=self.photo.pixels.shape[2] == 3,
            alpha=self.alpha is not None,
            quality=quality,
            model_id=identifier,
            weights_hash=self.about.decode_hash,
            quality_map=self.quality_map,
        )

    def quality(self, quality: float | None, region: Region) -> Quality:
        """As the model takes it for a region."""
        height, width = self.model.latent_size(region.height), self.model.latent_size(region.width)
        return _quality_of(self.header(quality), region, height, width)

    def _edges(self, region: Region) -> tuple[int, int, int, int]:
        """The region with what its latents depend on: left, top, right, bottom."""
        reach = -(-self.model.analysis_reach // self.model.multiple) * self.model.multiple
        return (
            max(0, region.left - reach),
            max(0, region.top - reach),
            min(self.photo.width, region.left + region.width + reach),
            min(self.photo.height, region.top + region.height + reach),
        )

    def tile(self, region: Region) -> tuple[Tensor, tuple[int, int]]:
        """The region's pixels with its surroundings [1, 3, h, w], padded, and the tile's place."""
        left, top, right, bottom = self._edges(region)
        # a copy: torch warns of arrays that cannot be written to
        cut = np.array(self.photo.pixels[top:bottom, left:right])
        x = torch.from_numpy(cut).to(self.codec.device).permute(2, 0, 1)[None].float() / 255
        return self.model.pad(x.expand(-1, 3, -1, -1)), (left, top)

    def tile_inside(self, region: Region) -> tuple[slice, slice]:
        """Rows and columns of the tile's latents that are the region's."""
        left, top, _, _ = self._edges(region)
        row, column = (region.top - top) // LATENT_STEP, (region.left - left) // LATENT_STEP
        return (
            slice(row, row + self.model.latent_size(region.height)),
            slice(column, column + self.model.latent_size(region.width)),
        )

    def latents_of(self, region: Region) -> tuple[slice, slice]:
        """Rows and columns of the picture's latents that are the region's."""
        row, column = region.top // LATENT_STEP, region.left // LATENT_STEP
        return (
            slice(row, row + self.model.latent_size(region.height)),
            slice(column, column + self.model.latent_size(region.width)),
        )

    def no_latents(self) -> Tensor:
        """Of the whole picture, to be filled: [M, h, w] int16."""
        rows, columns = self.latents_of(self.regions[-1])
        return torch.zeros(self.model.config.latent, rows.stop, columns.stop, dtype=torch.int16)

    def analyse(self, region: Region) -> Tensor:
        """y of a region [1, M, h, w], before the gain. Tiles overlap by what the network reaches, so that no seam is
        in the latents; only the Extractor's words see the tile alone."""
        x, _ = self.tile(region)
        rows, columns = self.tile_inside(region)
        return self.model.analyse(x, self.tokens.to(self.codec.device))[:, :, rows, columns]

    def analysed(self, region: int) -> Tensor:
        """y of a region, kept for the search: large images in half precision."""
        if self._y is None:
            kept = torch.float16 if self.pixels > 8 * BATCH_PIXELS else torch.float32
            self._y = self._each(lambda _, region: self.analyse(region).to(kept))
        return self._y[region].float()

    def _each(self, work: Callable[[int, Region], T]) -> list[T]:
        """`work` for each region. Where there are threads, several regions are worked on at a time, each by fewer of
        them: two threads on two regions are done sooner than two on one after the other."""
        threads = torch.get_num_threads()
        count = min(threads, len(self.regions), REGIONS_AT_A_TIME) if self.codec.device.type == "cpu" else 1
        if count < 2:
            return [work(index, region) for index, region in enumerate(self.regions)]

        def one(index: int, region: Region) -> T:
            with _thread_count(threads // count):
                return work(index, region)

        with ThreadPoolExecutor(count, thread_name_prefix="tacit-region") as pool:
            return list(pool.map(one, range(len(self.regions)), self.regions))

    def attempt(self, quality: float | None, reconstruct: bool) -> _Found:
        """The file at a quality; with nothing kept, each region is analysed and let go."""

        def code(index: int, region: Region) -> tuple[bytes, Tensor | None]:
            y = self.analyse(region) if self._y is None else self.analysed(index)
            (stream,), integers = self.model.compress(y, self.quality(quality, region))
            return stream, integers[0].cpu() if reconstruct else None

        coded = self._each(code)
        data = self.file(quality, [stream for stream, _ in coded])
        if not reconstruct:
            return _Found(quality, data)
        picture = _Picture(container.read(data, max_pixels=None), self.model, None)
        for region, (_, integers) in zip(self.regions, coded, strict=True):
            assert integers is not None
            picture.put(region, integers)
        decoded = picture.photo(self.codec.device)
        return _Found(quality, data, decoded, self.psnr(decoded))

    def file(self, quality: float | None, streams: Sequence[bytes]) -> bytes:
        return container.write(self.header(quality), self.metadata, self.alpha, streams)

    def result(self, found: _Found) -> EncodeResult:
        return EncodeResult(
            found.data,
            self.photo.width,
            self.photo.height,
            self.header(found.quality).quality,
            8 * len(found.data) / self.pixels,
            found.psnr,
            self.caption,
            None if found.decoded is None else images.to_pil(found.decoded),
        )

    def psnr(self, decoded: Raster) -> float:
        """Of the colours as decoded, in dB."""
        error = 0
        for top in range(0, self.photo.height, 1024):
            rows = slice(top, top + 1024)
            difference = decoded.pixels[rows].astype(np.int32) - self.photo.pixels[rows]
            error += int(np.square(difference).sum(dtype=np.int64))
        return 10 * math.log10(255**2 / max(error / self.photo.pixels.size, 1e-10))

    # -- targets --------------------------------------------------------------------------------------------------

    def search(self, target: Target, reconstruct: bool = False) -> _Found:
        """The encoding that reaches the target."""
        if target.size is None and target.bpp is None and target.psnr is None:
            return self.attempt(target.quality, reconstruct)
        self.analysed(0)  # once, for every quality that is tried
        if target.psnr is not None:
            found = self._search_psnr(target.psnr)
            return found if reconstruct else replace(found, decoded=None)
        limit = target.size if target.size is not None else math.floor(target.bpp * self.pixels / 8)  # type: ignore[operator]
        size = f"a file of {limit} byte{'s' if limit != 1 else ''}"
        return self._search_size(limit, size if target.size is not None else f"{target.bpp:.4g} bpp", reconstruct)

    def _search_size(self, limit: int, asked: str, reconstruct: bool) -> _Found:
        """The highest quality whose file has at most `limit` bytes. asked: the limit, as it was given."""
        files: dict[float, bytes] = {}

        def size(quality: float) -> float:
            files[quality] = self.attempt(quality, False).data
            return math.log(len(files[quality]))

        quality = _solve(size, math.log(max(limit, 1)), math.log(1 - SIZE_TOLERANCE))
        if quality is None:
            least = len(files[0.0])
            raise TargetNotReached(
                f"{asked} cannot be reached: the lowest quality takes {least} bytes ({8 * least / self.pixels:.4g} bpp)"
            )
        return self.attempt(quality, True) if reconstruct else _Found(quality, files[quality])

    def _search_psnr(self, goal: float) -> _Found:
        """The lowest quality whose decoded image reaches `goal` dB."""
        best: _Found | None = None

        def shortfall(quality: float) -> float:
            """Falls with 100 - quality, as `_solve` wants it to."""
            nonlocal best
            found = self.attempt(100 - quality, True)
            assert found.psnr is not None
            if best is None or found.psnr >= goal:  # each that reaches it is of a lower quality than the one before
                best = found
            return -found.psnr

        reached = _solve(shortfall, -goal, -PSNR_TOLERANCE) is not None
        assert best is not None
        if not reached:
            raise TargetNotReached(
                f"a PSNR of {goal:g} dB cannot be reached: the highest quality gives {best.psnr:.2f} dB"
            )
        return best


def _solve(value: Callable[[float], float], limit: float, below: float) -> float | None:
    """The largest x of 0..100, in hundredths, with value(x) <= limit, for a rising `value`; None if value(0) exceeds
    that. Stops early at a value within `below` (negative) of the limit. Regula falsi, with bisection where it stalls.
    """
    low, high = 0.0, 100.0
    at_low = value(low)
    if at_low > limit:
        return None
    at_high = value(high)
    if at_high <= limit:
        return high
    for attempt in range(16):
        if at_low >= limit + below or high - low < 0.015:
            break
        part = (limit + below / 2 - at_low) / (at_high - at_low) if attempt % 3 < 2 and at_high > at_low else 0.5
        x = round(low + min(max(part, 0.02), 0.98) * (high - low), 2)
        if x in (low, high):
            x = round((low + high) / 2, 2)
            if x in (low, high):
                break
        at_x = value(x)
        if at_x <= limit:
            low, at_low = x, at_x
        else:
            high, at_high = x, at_x
    return low


class _Picture:
    """One file on its way to an image. `values` [M, h, w] covers the regions that are needed, from `origin` on."""

    def __init__(self, file: Container, model: CodingModel, box: Box | None) -> None:
        self.file, self.model = file, model
        self.header = file.header
        self.regions = region_grid(self.header.width, self.header.height)
        self.box = _checked_box(box, self.header)
        self.damage: list[str] = []
        reach = model.synthesis_reach * LATENT_STEP
        left, top, right, bottom = self.box
        self.needed = [
            i
            for i, r in enumerate(self.regions)
            if r.left < right + reach
            and r.top < bottom + reach
            and r.left + r.width > left - reach
            and r.top + r.height > top - reach
        ]
        first, last = self.regions[self.needed[0]], self.regions[self.needed[-1]]
        self.origin = first.top // LATENT_STEP, first.left // LATENT_STEP
        height = last.top // LATENT_STEP + self.size(last)[0] - self.origin[0]
        width = last.left // LATENT_STEP + self.size(last)[1] - self.origin[1]
        self.values = torch.zeros(model.config.latent, height, width, dtype=torch.int16, device="cpu")

    def size(self, region: Region) -> tuple[int, int]:
        """Height and width of a region's latents."""
        return self.model.latent_size(region.height), self.model.latent_size(region.width)

    def put(self, region: Region, latents: Tensor) -> None:
        row = region.top // LATENT_STEP - self.origin[0]
        column = region.left // LATENT_STEP - self.origin[1]
        self.values[:, row : row + latents.shape[1], column : column + latents.shape[2]] = latents

    def latents(self) -> Latents:
        """What is decoded of it so far."""
        return Latents(self.header, self.box, self.origin, self.values)

    def photo(self, device: torch.device, salvage: bool = False) -> Raster:
        """Synthesise the box."""
        (pixels,) = synthesise([self.latents()], [self.model], device=device, out=torch.device("cpu"))
        return Raster(pixels.numpy(), self._alpha(salvage) if self.header.alpha else None, self.file.metadata)

    def _alpha(self, salvage: bool) -> images.Pixels:
        """Of the box; opaque where it is lost."""
        left, top, right, bottom = self.box
        if self.file.alpha is not None:
            try:
                whole = images.decode_alpha(self.file.alpha, self.header.width, self.header.height)
                return np.ascontiguousarray(whole[top:bottom, left:right])
            except CorruptFile as error:
                if not salvage:
                    raise
                self.damage.append(str(error))
        return np.full((bottom - top, right - left), 255, dtype=np.uint8)


_counting = threading.Lock()
_counts: list[int] = []  # torch's thread count before each of the calls that have changed it and are not over


@contextmanager
def _thread_count(threads: int) -> Iterator[None]:
    """Run with so many threads. Each Python thread has its count, a new one takes the last that any has set: so what
    calls that overlap put back is what the first of them found, and not what another has set."""
    with _counting:
        before = _counts[0] if _counts else torch.get_num_threads()
        _counts.append(before)
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        with _counting:
            _counts.pop()
            torch.set_num_threads(before)


def _quality_of(header: Header, region: Region, height: int, width: int) -> Quality:
    """Of the height x width latents of a region."""
    return quality_at(header, region.top // LATENT_STEP, region.left // LATENT_STEP, height, width)


def _offsets(quality_map: np.ndarray, photo: Raster, model: CodingModel) -> bytes:
    """As a header has them."""
    if not model.quality_maps:
        raise InvalidInput("these weights take no map of the quality")
    given = np.asarray(quality_map)
    expected = container.cells(photo.width, photo.height)
    if given.shape != expected:
        raise InvalidInput(f"quality_map of shape {list(given.shape)}: one value for 64x64 pixels is {list(expected)}")
    rounded = np.rint(given)
    if not (np.abs(rounded) <= 100).all():
        raise InvalidInput("quality_map: -100 to 100 are possible")
    return bytes(rounded.astype(np.int8).tobytes())


def _equal_shapes(jobs: Sequence[_Job], model: CodingModel) -> Iterator[list[tuple[int, int]]]:
    """(job, region) pairs whose padded tiles and regions have equal shapes, in batches of bounded size."""
    groups: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for j, job in enumerate(jobs):
        for r, region in enumerate(job.regions):
            left, top, right, bottom = job._edges(region)
            key = (
                model.latent_size(right - left),
                model.latent_size(bottom - top),
                model.latent_size(region.width),
                model.latent_size(region.height),
                job.quality_map is None,
            )
            groups.setdefault(key, []).append((j, r))
    for (width, height, *_), members in groups.items():
        step = max(1, BATCH_PIXELS // (width * height * LATENT_STEP**2))
        for start in range(0, len(members), step):
            yield members[start : start + step]


def _allowed(target: Target, model: CodingModel) -> Target:
    """The target with the default filled in; fixed-rate weights take none."""
    asked = target != Target()
    if not model.variable_rate:
        if asked:
            raise InvalidInput("these weights have one fixed rate: quality, size, bpp and psnr cannot be asked of them")
        return target
    return target if asked else Target(quality=DEFAULT_QUALITY)


def _checked_box(box: Box | None, header: Header) -> Box:
    if box is None:
        return 0, 0, header.width, header.height
    try:
        left, top, right, bottom = map(operator.index, box)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"box {box!r}: four whole numbers are needed, (left, top, right, bottom)") from error
    if not (0 <= left < right <= header.width and 0 <= top < bottom <= header.height):
        raise InvalidInput(f"box {box}: not inside the image of {header.width}x{header.height} pixels")
    return left, top, right, bottom


def _precision(name: str, device: torch.device) -> torch.dtype:
    known = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if name in known:
        return known[name]
    if name != "auto":
        raise InvalidInput(f"precision {name!r}: fp32, bf16 or auto are possible")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    # elsewhere bf16 is emulated, and slow
    fast = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def _weigher(given: bool | Weigher) -> Weigher:
    from tacit.words import shared_weigher

    return shared_weigher() if isinstance(given, bool) else given


def read_bytes(source: FileSource) -> bytes | bytearray | memoryview:
    """The bytes of a file given as bytes, a path or a binary file.

    Raises: PathError, InvalidInput.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return source
    if isinstance(source, str | os.PathLike):
        try:
            return Path(source).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a null character
            raise PathError(f"{os.fspath(source)}: {getattr(error, 'strerror', None) or error}") from error
    if isinstance(source, io.IOBase) or hasattr(source, "read"):
        try:
            data = source.read()
        except (OSError, ValueError) as error:  # ValueError: a closed file
            raise PathError(
                f"{getattr(source, 'name', 'file')}: {getattr(error, 'strerror', None) or error}"
            ) from error
        if isinstance(data, bytes | bytearray | memoryview):
            return data
    raise InvalidInput(f"{type(source).__name__}: bytes, a path or a binary file are needed")


@lru_cache(maxsize=4)
def _shared(model: str) -> Codec:
    return Codec(model)


def encode(
    image: ImageSource,
    caption: str | None = None,
    quality: float | None = None,
    *,
    model: str | os.PathLike[str] = weights.DEFAULT,
    size: int | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    quality_map: np.ndarray | None = None,
    store_caption: bool = False,
    keep_metadata: bool = True,
) -> bytes:
    """`Codec(model).encode(...)`, with the codec kept for the next call."""
    return _shared(os.fspath(model)).encode(
        image,
        caption,
        quality,
        size=size,
        bpp=bpp,
        psnr=psnr,
        quality_map=quality_map,
        store_caption=store_caption,
        keep_metadata=keep_metadata,
    )


def decode(
    data: FileSource,
    *,
    box: Box | None = None,
    salvage: bool = False,
    max_pixels: int | None = MAX_PIXELS,
) -> Image.Image:
    """`Codec().decode(...)`: the weights are those that the file names."""
    return _shared(weights.DEFAULT)._decode_one(data, box, salvage, max_pixels)


__all__ = ["Codec", "DamageWarning", "EncodeResult", "Prepared", "decode", "encode", "read_bytes"]
