"""One image on its way to a `.tacit` file."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tacit import container
from tacit import image as images
from tacit.codec import rate_control
from tacit.codec.decoding import FileDecoding
from tacit.codec.keep import KeptBox
from tacit.codec.model import Array, Model, Quality
from tacit.codec.options import Target
from tacit.codec.rate_control import Attempt, AttemptAt
from tacit.codec.steering import steering
from tacit.codec.synthesis import Box, region_quality, stack_qualities, synthesise
from tacit.codec.threads import map_regions, map_threads
from tacit.container import Container, Header, Metadata, Region, region_grid
from tacit.engine.limits import BATCH_PIXELS, LARGE
from tacit.entropy.streams import Stream
from tacit.entropy.units import LATENT_STEP
from tacit.errors import InvalidInput
from tacit.image import Raster
from tacit.image.psnr import decibels, psnr
from tacit.text.caption_tokens import CaptionTokens

if TYPE_CHECKING:
    from tacit.codec.refined_coding import RefinedCoding
    from tacit.finding import Found

HIGHEST_PSNR = decibels(1e-10)  # dB, stands for infinity: searches compute with it, and JSON has no infinity


@dataclass(frozen=True, kw_only=True)
class EncodeResult:
    """What an encoding made, and what it reached."""

    data: bytes
    """The `.tacit` file."""

    width: int
    """Pixels."""

    height: int
    """Pixels."""

    quality: float | None
    """The quality used; None for weights of one fixed rate."""

    bpp: float
    """Bits of the whole file per pixel."""

    psnr: float | None
    """The PSNR of the decoded colours in dB, where the target was a PSNR or the image was reconstructed; 148 where
    nothing was lost."""

    caption: str | None
    """The caption that guided the encoder."""

    image: Image.Image | None = None
    """The decoded image, where it was reconstructed."""

    found: Found | None = None
    """What was found of the caption, by which the qualities were steered; None where nothing was looked for."""
    kept: tuple[KeptBox, ...] = ()
    """The boxes that were to be kept (`EncodeOptions.keep`), each with what it has in the decoded image."""

    kept_bytes: int | None = None
    """How many bytes more the file has than one that keeps nothing and is of the quality that was asked for or, with
    another target, that the rest has; None where nothing was to be kept."""


class ImageEncoding:
    """One image on its way to a file, with everything that its encoding depends on except the quality.

    Args:
        raster: The image.
        model: The model that encodes it.
        decoder: The same model, on the engine that decodes.
        tokens: The caption's tokens, a batch of one.
        caption: The caption, which the result names; None if there is none.
        metadata: The metadata that the file keeps.
        quality_map: The quality map as the header has it, one signed byte for each cell; None if there is no map.
        model_id: The number of the architecture in files.
        weights_hash: The decode hash of the weights.
        progressive: Whether the beginning of the file gives the whole image, coarse.
        refined: What codes regions with refined latents, by `model`; None if nothing does.
        found: What was found of the caption, which the result has; None if nothing was looked for.
    """

    def __init__(
        self,
        raster: Raster,
        model: Model,
        *,
        decoder: Model,
        tokens: CaptionTokens,
        caption: str | None,
        metadata: Metadata,
        quality_map: bytes | None,
        model_id: int,
        weights_hash: bytes,
        progressive: bool = False,
        refined: RefinedCoding | None = None,
        found: Found | None = None,
    ) -> None:
        self.raster, self.model, self.decoder, self.caption = raster, model, decoder, caption
        self.progressive = progressive
        self.regions = region_grid(raster.width, raster.height)
        self.quality_map = quality_map
        self.tokens = tokens
        self._metadata = metadata
        self._alpha = None if raster.alpha is None else images.encode_alpha(raster.alpha)
        self._model_id, self._weights_hash = model_id, weights_hash
        self._kept: list[Array] | None = None  # y of each region
        self.refined, self.found = refined, found
        self.floors: np.ndarray | None = None
        """The least quality of each cell; None for none. See `with_floors`."""

    @property
    def pixels(self) -> int:
        """The number of pixels of the image."""
        return self.raster.width * self.raster.height

    # -- regions --------------------------------------------------------------------------------------------------

    def header(self, quality: float | None) -> Header:
        """Return the header of the file at a quality."""
        return Header(
            width=self.raster.width,
            height=self.raster.height,
            color=self.raster.pixels.shape[2] == 3,
            alpha=self._alpha is not None,
            quality=quality,
            model_id=self._model_id,
            weights_hash=self._weights_hash,
            quality_map=self._quality_map(quality),
        )

    def _quality_map(self, quality: float | None) -> bytes | None:
        """Return the quality map at a quality, which lifts cells to their floors."""
        if self.floors is None or quality is None:
            return self.quality_map
        own = 0 if self.quality_map is None else np.frombuffer(self.quality_map, np.int8).reshape(self.floors.shape)
        lifts = np.ceil((self.floors - quality).round(2))  # qualities are hundredths
        offsets = np.maximum(lifts, own).clip(-100, 100).astype(np.int8)
        return offsets.tobytes() if self.quality_map is not None or offsets.any() else None

    def with_floors(self, floors: np.ndarray) -> ImageEncoding:
        """Return the same encoding where the quality of no cell is below its floor; it shares the analysis.

        Args:
            floors: The least quality of each cell, [ceil(H / 64), ceil(W / 64)]; below the file's quality it means
                nothing.

        Raises:
            InvalidInput: The weights take no quality map.
        """
        check_quality_maps(self.model)
        lifted = copy.copy(self)
        lifted.floors = floors
        return lifted

    def quality(self, quality: float | None, region: Region) -> Quality:
        """Return the quality of a region's latents, as the model takes it."""
        return region_quality(self.header(quality), region, *self.latent_shape(region))

    def latent_shape(self, region: Region) -> tuple[int, int]:
        """Return the height and the width of a region's latents."""
        return self.model.latent_size(region.height), self.model.latent_size(region.width)

    def tile_box(self, region: Region) -> tuple[int, int, int, int]:
        """Return the region with the pixels that its latents depend on: left, top, right, bottom."""
        reach = -(-self.model.analysis_reach // self.model.multiple) * self.model.multiple
        return (
            max(0, region.left - reach),
            max(0, region.top - reach),
            min(self.raster.width, region.left + region.width + reach),
            min(self.raster.height, region.top + region.height + reach),
        )

    def tile(self, region: Region) -> np.ndarray:
        """Return the region's pixels with those around it, padded: [1, h, w, 3] uint8."""
        return tiles_together([(self, region)])

    def cut(self, region: Region) -> images.Pixels:
        """Return the region's pixels with those around it: a view, uint8 [H, W, 1 or 3]."""
        left, top, right, bottom = self.tile_box(region)
        return self.raster.pixels[top:bottom, left:right]

    def inside_tile(self, region: Region) -> tuple[slice, slice]:
        """Return the rows and the columns of the tile's latents that are the region's."""
        left, top, _, _ = self.tile_box(region)
        return self.window(region, top, left)

    def inside_image(self, region: Region) -> tuple[slice, slice]:
        """Return the rows and the columns of the image's latents that are the region's."""
        return self.window(region, 0, 0)

    def window(self, region: Region, top: int, left: int) -> tuple[slice, slice]:
        """Return the region's rows and columns among latents that begin at a pixel."""
        row, column = (region.top - top) // LATENT_STEP, (region.left - left) // LATENT_STEP
        height, width = self.latent_shape(region)
        return slice(row, row + height), slice(column, column + width)

    def empty_latents(self) -> Array:
        """Return zeros for the latents of the whole image, to be filled: [M, h, w] int16."""
        rows, columns = self.inside_image(self.regions[-1])
        return self.model.engine.zeros((self.model.latent, rows.stop, columns.stop), np.int16)

    # -- the work -------------------------------------------------------------------------------------------------

    def analyse(self, region: Region) -> Array:
        """Return y of a region before the gain: [1, M, h, w].

        Tiles overlap by what the network reaches, so that no seam is in the latents; only the words that the Extractor
        makes see the tile alone.
        """
        rows, columns = self.inside_tile(region)
        return self.model.analyse(self.tile(region), self.tokens)[:, :, rows, columns]

    def keep_analysis(self) -> None:
        """Analyse the image once for all the qualities that are tried; large images are kept in half precision."""
        if self._kept is None:
            half = self.pixels > LARGE
            at_a_time = self.model.engine.regions_at_a_time

            def keep(_: int, region: Region) -> Array:
                return self.model.kept(self.analyse(region), half)

            self._kept = map_regions(keep, self.regions, at_a_time)
            self._release()

    def attempt(self, quality: float | None, reconstruct: bool) -> Attempt:
        """Make the file at a quality, without refinement.

        Args:
            quality: 0 to 100; None for weights of one fixed rate.
            reconstruct: Whether the image that the file decodes to is made, too.
        """
        engine = self.model.engine

        def code(index: int, region: Region) -> tuple[Stream, np.ndarray | None]:
            y = self.analyse(region) if self._kept is None else self._kept[index]
            (stream,), integers = self.model.compress(y, self.quality(quality, region), self.progressive)
            return stream, engine.to_host(integers[0]) if reconstruct else None

        coded = map_regions(code, self.regions, engine.regions_at_a_time)
        self._release()
        return self._finished(quality, coded, reconstruct)

    def _release(self) -> None:
        """Give back the memory of a large image's networks: those that come next need theirs beside it."""
        if self.pixels > LARGE:
            self.model.release()

    def refined_attempt(
        self, quality: float | None, reconstruct: bool, span: tuple[float, float] = (0.0, 1.0)
    ) -> Attempt:
        """Make the file at a quality, refined; the arguments are those of `attempt`, and `RefinedCoding.compress`'s."""
        assert self.refined is not None
        coded = []
        start, stop = span
        for index, region in enumerate(self.regions):  # one at a time: each takes some two kilobytes for a pixel
            part = [start + (stop - start) * at / len(self.regions) for at in (index, index + 1)]
            (stream,), integers = self.refined.compress([(self, region)], quality, (part[0], part[1]))
            coded.append((stream, self.model.engine.to_host(integers[0]) if reconstruct else None))
        return self._finished(quality, coded, reconstruct)

    def _refined_attempts(self) -> AttemptAt:
        """Return what makes refined attempts of which nobody knows how many are needed: each is half of the rest."""
        rest = 1.0

        def refined(quality: float | None, reconstruct: bool) -> Attempt:
            nonlocal rest
            rest /= 2
            return self.refined_attempt(quality, reconstruct, (1 - 2 * rest, 1 - rest))

        return refined

    def _finished(
        self, quality: float | None, coded: Sequence[tuple[Stream, np.ndarray | None]], reconstruct: bool
    ) -> Attempt:
        """Return the attempt that the regions' streams are, each with its integers where the image is wanted."""
        data = self.file(quality, [stream for stream, _ in coded])
        if not reconstruct:
            return Attempt(quality, data)
        decoding = FileDecoding(container.read(data, max_pixels=None), self.decoder)
        for region, (_, integers) in zip(self.regions, coded, strict=True):
            assert integers is not None
            decoding.put(region, self.decoder.engine.from_host(integers))
        decoded = decoding.raster()
        return Attempt(quality, data, decoded, min(psnr(decoded.pixels, self.raster.pixels), HIGHEST_PSNR))

    def decoded_boxes(self, quality: float | None, boxes: Sequence[Box]) -> list[np.ndarray]:
        """Return what boxes of the image decode to at a quality; only the regions that they need are coded.

        Args:
            quality: As for `attempt`.
            boxes: Parts of the image.

        Returns:
            The pixels of each box, [h, w, 1 or 3] uint8.
        """
        header = self.header(quality)
        file = Container(header=header, metadata=Metadata(), alpha=None, regions=(None,) * len(self.regions))
        decodings = [FileDecoding(file, self.decoder, box) for box in boxes]
        needed = sorted({index for decoding in decodings for index in decoding.needed})

        def code(number: int, region: Region) -> np.ndarray:
            y = self.analyse(region) if self._kept is None else self._kept[needed[number]]
            _, integers = self.model.compress(y, self.quality(quality, region), self.progressive)
            return self.model.engine.to_host(integers[0])

        at_a_time = self.model.engine.regions_at_a_time
        coded = dict(zip(needed, map_regions(code, [self.regions[index] for index in needed], at_a_time), strict=True))
        for decoding in decodings:
            for index in decoding.needed:
                decoding.put(self.regions[index], self.decoder.engine.from_host(coded[index]))
        return synthesise([decoding.latents() for decoding in decodings], [self.decoder] * len(decodings))

    def file(self, quality: float | None, streams: Sequence[Stream]) -> bytes:
        """Return the file of the regions' streams."""
        header, regions = self.header(quality), [stream.data for stream in streams]
        if self.progressive:
            header = replace(header, scans=container.choose_scans(list(map(len, regions))))
        return container.write(header, self._metadata, self._alpha, regions)

    def reach(self, target: Target, reconstruct: bool = False) -> EncodeResult:
        """Encode the image so that it reaches a target.

        Args:
            target: With the default quality filled in, unless the weights have one fixed rate.
            reconstruct: Whether the image that the file decodes to is made, too.

        Raises:
            TargetNotReached: No quality reaches the target.
        """
        if _is_searched(target):
            self.keep_analysis()
        self.begin()
        return self.result(self.reached(target, reconstruct))

    def begin(self) -> None:
        """Begin the time that refinement may take."""
        if self.refined is not None:
            self.refined.begin()

    def reached(self, target: Target, reconstruct: bool) -> Attempt:
        """Return the attempt that reaches a target; the arguments are those of `reach`."""
        refined = None
        if self.refined is not None:
            refined = self._refined_attempts() if _is_searched(target) else self.refined_attempt
        return rate_control.reach(target, self.attempt, self.pixels, reconstruct, refined)

    def result(self, reached: Attempt) -> EncodeResult:
        """Return an attempt as what the caller gets."""
        return EncodeResult(
            data=reached.data,
            width=self.raster.width,
            height=self.raster.height,
            quality=self.header(reached.quality).quality,
            bpp=8 * len(reached.data) / self.pixels,
            psnr=reached.psnr,
            caption=self.caption,
            image=None if reached.decoded is None else images.to_pil(reached.decoded),
            found=self.found,
        )

    def bit_map(self, quality: float | None) -> np.ndarray:
        """Return the bits of each 16x16 pixels: float32 [ceil(H / 16), ceil(W / 16)].

        Where weights pad regions to more, the padding's bits are at the border.
        """
        total = np.zeros((-(-self.raster.height // LATENT_STEP), -(-self.raster.width // LATENT_STEP)), np.float32)
        for region in self.regions:
            bits = self.model.bits(self.analyse(region), self.quality(quality, region))[0]
            rows = np.minimum(region.top // LATENT_STEP + np.arange(bits.shape[0]), total.shape[0] - 1)
            columns = np.minimum(region.left // LATENT_STEP + np.arange(bits.shape[1]), total.shape[1] - 1)
            np.add.at(total, (rows[:, None], columns), bits)
        return total


def encode_together(encodings: Sequence[ImageEncoding], quality: float | None) -> list[tuple[bytes, np.ndarray]]:
    """Encode several images with one model at one quality; tiles of equal shape run through it together.

    Returns:
        Each image's file, and its latents as they were coded: [M, h, w] int16.
    """
    streams: list[list[Stream]] = [[Stream(b"")] * len(encoding.regions) for encoding in encodings]
    latents = [encoding.empty_latents() for encoding in encodings]

    def code(batch: list[tuple[int, int]]) -> None:
        members = [(encodings[number], encodings[number].regions[index]) for number, index in batch]
        coded, integers = _code_batch(members, quality)
        for (number, index), stream, part in zip(batch, coded, integers, strict=True):
            streams[number][index] = stream
            rows, columns = encodings[number].inside_image(encodings[number].regions[index])
            latents[number][:, rows, columns] = part

    if not encodings:
        return []
    for encoding in encodings:
        if encoding.refined is not None:
            encoding.refined.begin()
    engine = encodings[0].model.engine
    engine.map_overlapped(code, list(_equal_shapes(encodings)))
    files = [encoding.file(quality, own) for encoding, own in zip(encodings, streams, strict=True)]
    return list(zip(files, map(engine.to_host, latents), strict=True))


def _code_batch(members: Sequence[tuple[ImageEncoding, Region]], quality: float | None) -> tuple[list[Stream], Array]:
    """Return the streams and the latents of regions of one shape."""
    first, _ = members[0]
    if first.refined is not None:
        return first.refined.compress(members, quality)
    model = first.model
    of_tiles = model.analyse(tiles_together(members), CaptionTokens.stack([encoding.tokens for encoding, _ in members]))
    windows = [encoding.inside_tile(region) for encoding, region in members]
    if all(window == windows[0] for window in windows):
        y = of_tiles[:, :, windows[0][0], windows[0][1]]
    else:
        y = model.engine.stack([one[:, r, c] for one, (r, c) in zip(of_tiles, windows, strict=True)])
    qualities = stack_qualities([encoding.quality(quality, region) for encoding, region in members], *y.shape[2:])
    return model.compress(y, qualities, first.progressive)


def tiles_together(members: Sequence[tuple[ImageEncoding, Region]]) -> np.ndarray:
    """Return the tiles of regions, which are of one shape once they are padded: [B, h, w, 3] uint8.

    The border is repeated, or zeros are added for the published network.
    """
    model = members[0][0].model
    cuts = [encoding.cut(region) for encoding, region in members]
    sides = [-(-side // model.multiple) * model.multiple for side in cuts[0].shape[:2]]
    tiles = model.engine.host_empty((len(cuts), *sides, 3))

    def fill(number: int) -> None:
        tile, cut = tiles[number], cuts[number]
        height, width = cut.shape[:2]
        tile[:height, :width] = cut
        tile[:height, width:] = 0 if model.published else tile[:height, width - 1 : width]
        tile[height:] = 0 if model.published else tile[height - 1]

    map_threads(fill, range(len(cuts)))
    return tiles


def _equal_shapes(encodings: Sequence[ImageEncoding]) -> Iterator[list[tuple[int, int]]]:
    """Yield (image, region) numbers whose tiles and regions have equal shapes, in batches of bounded size."""
    groups: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for number, encoding in enumerate(encodings):
        for index, region in enumerate(encoding.regions):
            left, top, right, bottom = encoding.tile_box(region)
            key: tuple[int, ...] = (
                encoding.model.latent_size(right - left),
                encoding.model.latent_size(bottom - top),
                *encoding.latent_shape(region),
                encoding.quality_map is None,
            )
            if encoding.refined is not None:
                # What a refinement sees must have one shape and one place; that of one of several regions is alone.
                alone = len(groups) if len(encoding.regions) > 1 else -1
                key = (*key, encoding.raster.pixels.shape[2], alone)
            groups.setdefault(key, []).append((number, index))
    for (width, height, *_), members in groups.items():
        limit = encodings[0].model.engine.pixels_together()
        if encodings[0].refined is not None:  # whose gradients take more than a kilobyte for each pixel
            limit = min(limit, 4 * BATCH_PIXELS)
        step = max(1, limit // (width * height * LATENT_STEP**2))
        for start in range(0, len(members), step):
            yield members[start : start + step]


def quality_offsets(
    raster: Raster, model: Model, quality_map: np.ndarray | None, found: Found | None, steer: float
) -> bytes | None:
    """Return what is added to the quality, as a header has it: one signed byte for each cell of 64x64 pixels.

    Args:
        raster: The image.
        model: The model that encodes it.
        quality_map: The caller's map; None if there is none.
        found: What was found of the caption; None if nothing was looked for.
        steer: Steps of quality between what was found and the rest.

    Raises:
        InvalidInput: The weights take no map, or the map has a wrong shape or values out of range.
    """
    steps = None if found is None else steering(found, raster.width, raster.height, steer)
    if quality_map is None and steps is None:
        return None
    check_quality_maps(model)
    expected = container.cells(raster.width, raster.height)
    offsets = np.zeros(expected) if quality_map is None else np.asarray(quality_map)
    if offsets.shape != expected:
        raise InvalidInput(
            f"quality_map must have one value for each 64x64 pixels, shape {list(expected)}, got {list(offsets.shape)}"
        )
    if not (np.abs(np.rint(offsets)) <= 100).all():
        raise InvalidInput(f"quality_map must be -100 to 100, got {offsets.min():g} to {offsets.max():g}")
    if steps is not None:
        offsets = np.clip(offsets + steps, -100, 100)
    return bytes(np.rint(offsets).astype(np.int8).tobytes())


def _is_searched(target: Target) -> bool:
    return target.quality is None and target != Target()


def check_quality_maps(model: Model) -> None:
    """Raise InvalidInput unless the quality may vary over an image."""
    if not model.quality_maps:
        raise InvalidInput("these weights take no quality map")
