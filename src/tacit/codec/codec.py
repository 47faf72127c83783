"""The codec: one model, kept loaded, that encodes images and decodes files."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack

import numpy as np
from PIL import Image

from tacit import container, weights
from tacit import image as images
from tacit.architectures import ARCHITECTURES
from tacit.codec.counts import check_count
from tacit.codec.decoding import (
    FileDecoding,
    FileSource,
    check_box,
    decode_regions,
    parts_together,
    read_bytes,
    warn_of_damage,
)
from tacit.codec.engines import Engines
from tacit.codec.model import Array, Model
from tacit.codec.options import (
    DEFAULT_FINDER,
    DEFAULT_QUALITY,
    DEFAULT_STEER,
    EncodeFields,
    EncodeOptions,
    Target,
    TargetFields,
    check_effort,
    check_steer,
    merged,
)
from tacit.codec.reduction import choose_factor, decode_reduced, reduced_size, shrink
from tacit.codec.synthesis import Box, Latents, quality_at, synthesise
from tacit.codec.threads import map_threads, thread_count
from tacit.container import MAX_PIXELS, Container, Header, Metadata
from tacit.errors import CorruptFile, InvalidInput
from tacit.image import Raster
from tacit.text.caption_tokens import CaptionTokens

if TYPE_CHECKING:
    import torch

    from tacit.codec.encoding import EncodeResult, ImageEncoding
    from tacit.codec.keeping import Keeping
    from tacit.codec.refined_coding import RefinedCoding
    from tacit.codec.refinement import Progress
    from tacit.finding import Finder, FinderFunction, Found
    from tacit.finding.boxes import Box as GivenBox
    from tacit.image import ImageSource
    from tacit.text.encoders import TextEncoder
    from tacit.words import Weigher


T = TypeVar("T")


class Codec:
    """Encodes and decodes with one model, kept loaded.

    Args:
        model: The name of the model that encodes, or the path of its weights file. Decoding takes the weights that each
            file names.
        engine: What runs the networks: "onnx" (ONNX Runtime, on the processor), "torch", or "auto", which is onnx where
            it can be: on the processor, in fp32, with weights that have graphs. Files of one engine are read by the
            other, to equal latents and to pixels within a level.
        device: Where the networks run: "cpu", or a device of torch.
        threads: How many threads the codec's work takes. None takes as many as torch is set to, where the program uses
            torch; else one for each core.
        precision: The precision of the transforms: "fp32", "bf16", or "auto", which is fp32 on the engine onnx, and on
            torch bf16 where the device has it.
        text_encoder: The encoder that takes the place of the model's own: an object, or what
            `tacit.text.encoders.load_encoder` takes, such as "clip-published:FOLDER" for imported weights without the
            hub.
        word_weights: Whether a caption's names and rare nouns draw more of the encoder's attention (`tacit.words`).
            True takes the usual Weigher; another Weigher can be given instead.
        steer: How many steps of quality lie between what a caption names and what it does not, 0 to 100, where the
            options of an encoding do not say. With 0 a caption moves no bits from one place to another.
        effort: How long the encoder looks for a better file of the same image, 0 to 9, where the options of an encoding
            do not say. From 1 on it refines each image's latents, which takes seconds to minutes (docs/effort.md).
        finder: What finds in an image what its caption names, so that steering knows where: the name of a finder
            (`tacit.finding.load_finder`), or a function that takes pixels [H, W, 1 or 3] and a caption, and gives a map
            or boxes.

    Raises:
        UnknownModel: There is no model, or no finder, of this name.
        MissingWeights: The model's weights are not on this machine.
        CorruptWeights: The weights file is damaged.
        InvalidInput: An argument is out of its range.
        PathError: The weights file cannot be read.
        MissingExtra: The engine, the text encoder or the Weigher needs a package that is not installed.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = weights.DEFAULT,
        *,
        engine: str = "auto",
        device: torch.device | str = "cpu",
        threads: int | None = None,
        precision: str = "auto",
        text_encoder: TextEncoder | str | None = None,
        word_weights: bool | Weigher = False,
        steer: float = DEFAULT_STEER,
        effort: int = 0,
        finder: str | Finder | FinderFunction = DEFAULT_FINDER,
    ) -> None:
        check_steer(steer)
        check_effort(effort)
        self.threads = None if threads is None else check_count("threads", threads)
        self._engines = Engines(engine, device, precision)
        self.path = weights.locate(model)
        self._text_encoder = self._given_text_encoder = text_encoder
        self.steer = steer
        self.effort = effort
        self._weigher = None if word_weights is False else _weigher(word_weights)
        self._finder: Finder | None = None
        if finder != DEFAULT_FINDER:  # whose modules are loaded once something is to be found
            from tacit.finding import load_finder

            self._finder = load_finder(finder)
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy or another process needs: it loads models and text encoders again when it needs them."""
        state = self.__dict__ | {"_text_encoder": self._given_text_encoder}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def engine(self) -> str:
        """The name of the engine that runs the networks; weights without graphs run on torch in any case."""
        return self._engines.main.name

    @property
    def device(self) -> str:
        """Where the networks run."""
        return self._engines.main.device

    @property
    def precision(self) -> str:
        """The precision of the transforms: "fp32" or "bf16"."""
        return self._engines.main.precision

    # -- encoding -------------------------------------------------------------------------------------------------

    def encode(
        self,
        image: ImageSource,
        caption: str | None = None,
        quality: float | None = None,
        *,
        options: EncodeOptions | None = None,
        **fields: Unpack[EncodeFields],
    ) -> bytes:
        """Return the bytes of a `.tacit` file.

            codec.encode("photo.jpg", "a red boat", quality=40)
            codec.encode(array, size=60_000, store_caption=True)

        Args:
            image: A Pillow image, an array [H, W(, 1..4)], a tensor [3, H, W], a path, bytes or a binary file.
            caption: What the image shows. It guides the encoder.
            quality: 0 to 100; it is 50 where there is no target.
            options: All options at once.
            **fields: Single options, which replace those in `options`: one other target (`size`, the most bytes of the
                whole file; `bpp`, the most bits per pixel; `psnr`, the fewest dB), `quality_map`, `steer`,
                `boxes`, `effort`, `keep`, `best_effort`, `store_caption` and `keep_metadata`. `EncodeOptions` explains
                each.

        Raises:
            InvalidInput: An option is out of its range, or the source is no image.
            TargetNotReached: No quality reaches the target, or keeps what is to be kept.
            NotFound: The image shows nothing that a phrase of `keep` names.
            ImageTooLarge: The image has more pixels than Pillow's limit.
            PathError: The image cannot be read.
            WeightsError: The weights of the model or of the text encoder are missing or damaged.
            MissingExtra: The text encoder needs a package that is not installed.
        """
        return self.encode_result(image, caption, options=merged(options, quality, fields)).data

    def encode_result(
        self,
        image: ImageSource,
        caption: str | None = None,
        quality: float | None = None,
        *,
        options: EncodeOptions | None = None,
        reconstruct: bool = False,
        progress: Progress | None = None,
        **fields: Unpack[EncodeFields],
    ) -> EncodeResult:
        """Encode an image, as `encode` does, and report what the encoding reached.

        Args:
            image: As for `encode`.
            caption: As for `encode`.
            quality: As for `encode`.
            options: As for `encode`.
            reconstruct: Whether the result holds the image that `decode` makes of the file, to the bit. It costs the
                synthesis alone, because the decoder's integers are at hand.
            progress: Called now and then with the part of a refinement that is done, up to 1, where effort is above 0;
                a target and an image of several regions need more than one. What it raises ends the encoding.
            **fields: As for `encode`.

        Raises:
            TacitError: As for `encode`.
        """
        options = merged(options, quality, fields)
        raster = images.load(image)
        with thread_count(self.threads):
            model = self._model(self.path)
            target = _complete(options.target, model)
            return self._keeping(model, raster, caption, options, progress).reach(target, reconstruct)

    def prepare(
        self,
        image: ImageSource,
        caption: str | None = None,
        *,
        options: EncodeOptions | None = None,
        **fields: Unpack[EncodeFields],
    ) -> Prepared:
        """Return an image that is analysed once, for several encodings.

        Args:
            image: As for `encode`.
            caption: As for `encode`.
            options: As for `encode`. Encodings that name no target have the target of these options.
            **fields: As for `encode`.

        Raises:
            TacitError: As for `encode`.
        """
        options = merged(options, None, fields)
        raster = images.load(image)
        with thread_count(self.threads):
            model = self._model(self.path)
            return Prepared(self._keeping(model, raster, caption, options), options.target, self.threads)

    def encode_batch(
        self,
        sources: Sequence[ImageSource],
        captions: Sequence[str | None] | None = None,
        quality: float | None = None,
        *,
        options: EncodeOptions | None = None,
        **fields: Unpack[EncodeFields],
    ) -> list[bytes]:
        """Encode several images at one quality; those of equal shape run through the model together.

        The files are those that `encode` makes, but for float noise in the transforms.

        Args:
            sources: The images, as for `encode`.
            captions: One for each image, or None for none.
            quality: As for `encode`.
            options: As for `encode`; a quality is the only target that a batch can have.
            **fields: As for `encode`.

        Raises:
            TacitError: As for `encode`.
        """
        made = self.encode_batch_latents(sources, captions, options=merged(options, quality, fields))
        return [data for data, _ in made]

    def encode_batch_latents(
        self,
        sources: Sequence[ImageSource],
        captions: Sequence[str | None] | None = None,
        quality: float | None = None,
        *,
        options: EncodeOptions | None = None,
        boxes_of_each: Sequence[Sequence[GivenBox] | None] | None = None,
        **fields: Unpack[EncodeFields],
    ) -> list[tuple[bytes, np.ndarray]]:
        """Encode several images, as `encode_batch` does, and return each file with the integers that were coded.

        The integers are what `latents` must give for the file: [M, h, w] int16.

        Args:
            sources: As for `encode_batch`.
            captions: As for `encode_batch`.
            quality: As for `encode_batch`.
            options: As for `encode_batch`.
            boxes_of_each: What matters in each image, as `EncodeOptions.boxes` has it; None for what options say.
            **fields: As for `encode_batch`.
        """
        options = merged(options, quality, fields)
        if options.target != Target(quality=options.quality):
            raise InvalidInput("a batch is encoded at one quality: size, bpp and psnr need one image at a time")
        if options.keep:
            raise InvalidInput("a batch keeps nothing that is named: keep needs one image at a time")
        captions = [None] * len(sources) if captions is None else captions
        if isinstance(captions, str):
            raise InvalidInput("captions must be a list with one for each image, got one text")
        if len(captions) != len(sources):
            raise InvalidInput(f"there must be one caption for each image, got {len(captions)} for {len(sources)}")
        from tacit.codec.encoding import encode_together

        with thread_count(self.threads):
            rasters = map_threads(images.load, sources)
            model = self._model(self.path)
            chosen = _complete(options.target, model).quality
            encodings = [
                self._encoding(model, raster, caption, options if boxes is None else replace(options, boxes=boxes))
                for raster, caption, boxes in zip(
                    rasters, captions, boxes_of_each or [None] * len(rasters), strict=True
                )
            ]
            return encode_together(encodings, chosen)

    def bit_map(
        self,
        image: ImageSource,
        caption: str | None = None,
        quality: float | None = None,
        *,
        quality_map: np.ndarray | None = None,
        steer: float | None = None,
    ) -> np.ndarray:
        """Return where the bits of a file go: float32 [ceil(H / 16), ceil(W / 16)], bits for 16x16 pixels each.

        The map adds up to the coded regions of the file that `encode` makes of the same arguments, except for the
        range coder's final flush, about 50 bits for each region. Where weights pad regions to more, the padding's
        bits are at the border.

        Raises:
            TacitError: As for `encode`.
        """
        options = EncodeOptions(quality=quality, quality_map=quality_map, steer=steer)
        raster = images.load(image)
        with thread_count(self.threads):
            model = self._model(self.path)
            chosen = _complete(options.target, model).quality
            return self._encoding(model, raster, caption, options).bit_map(chosen)

    def find(self, image: ImageSource, caption: str) -> Found:
        """Return where an image shows what a caption names, as steering sees it.

        Args:
            image: As for `encode`.
            caption: The caption, or a phrase.

        Raises:
            InvalidInput: The image, or what the finder gives, cannot be used.
            PathError: The image cannot be read.
            CorruptWeights: The finder's networks are damaged.
        """
        with self._lock:
            if self._finder is None:
                from tacit.finding import load_finder

                self._finder = load_finder(DEFAULT_FINDER)
        with thread_count(self.threads):
            return self._finder(images.load(image).pixels, caption)

    # -- decoding -------------------------------------------------------------------------------------------------

    def decode(
        self,
        data: FileSource,
        *,
        box: Box | None = None,
        max_side: int | None = None,
        salvage: bool = False,
        partial: bool = False,
        max_pixels: int | None = MAX_PIXELS,
    ) -> Image.Image:
        """Return the image of a `.tacit` file, as a Pillow image with its metadata in `info`.

        Args:
            data: Bytes, a path or a binary file, read from where it stands, or whole at its end.
            box: The part that is decoded, without the rest: left, top, right, bottom in pixels.
            max_side: The most pixels along a side: a larger image is shrunk, in its proportions. At half the size and
                below, that takes a fraction of the time and memory, and the levels are near those of the whole image
                shrunk (docs/thumbnails.md).
            salvage: Whether damaged parts are left out, with a DamageWarning for each, instead of raising; lost regions
                are grey, lost alpha is opaque.
            partial: Whether the end of the file may be missing. What is there is decoded: of a progressive file, the
                whole image, coarser the less there is. What lies behind the last whole chunk is not verified.
            max_pixels: A limit on width x height; None for none.

        Raises:
            CorruptFile: The file is damaged, or with `partial` ends before its first region.
            UnsupportedFile: It is no `.tacit` file, or its version of the format is newer than this tacit.
            MissingWeights: The weights that it needs are not on this machine.
            ImageTooLarge: It has more pixels than the limit.
            InvalidInput: The box is not four whole numbers, or not inside the image; `max_side` is less than 1.
            PathError: The file cannot be read.
        """
        side = None if max_side is None else check_count("max_side", max_side)
        parsed = container.read(read_bytes(data), salvage=salvage, partial=partial, max_pixels=max_pixels)
        with thread_count(self.threads):
            if side is not None:
                return self._decode_smaller(parsed, box, side, salvage)
            return self._decode([parsed], box, salvage)[0]

    def decode_batch(self, files: Sequence[FileSource], *, max_pixels: int | None = MAX_PIXELS) -> list[Image.Image]:
        """Decode several files; regions of equal shape run through the model together."""
        parsed = [container.read(read_bytes(file), max_pixels=max_pixels) for file in files]
        with thread_count(self.threads):
            return self._decode(parsed, None, False)

    def latents(self, data: FileSource, *, partial: bool = False) -> np.ndarray:
        """Return the decoded integers of a file, equal on every machine: y in sixteenths, [M, h, w] int16.

        Args:
            data: As for `decode`.
            partial: As for `decode`.

        Raises:
            TacitError: As for `decode`.
        """
        with thread_count(self.threads):
            parsed = container.read(read_bytes(data), partial=partial)
            values: np.ndarray = self._read([parsed], [None])[0].values
            return values

    def unclamped(self, data: FileSource) -> np.ndarray:
        """Return the image of a whole file before it is clamped and rounded: [3, H, W] float32, about 0 to 1.

        Published figures of learned codecs are often of this. It is made in one piece, whatever memory that takes.
        """
        with thread_count(self.threads):
            whole = self._decoded_latents(data, None, MAX_PIXELS)
            model = self._for_file(whole.header)
            quality = quality_at(whole.header, 0, 0, *whole.values.shape[1:])
            x = model.engine.to_host(model.synthesise(model.engine.stack([whole.values]), quality)[0])
        return x[:, : whole.header.height, : whole.header.width]

    def read(self, data: FileSource, *, box: Box | None = None, max_pixels: int | None = MAX_PIXELS) -> Latents:
        """Decode a file, or a box of its image, as far as integers, of which `synthesise` makes pixels.

        Between the two, the integers may go to another process or device.

        Raises:
            TacitError: As for `decode`.
        """
        with thread_count(self.threads):
            latents = self._decoded_latents(data, box, max_pixels)
            return latents.cut(self._for_file(latents.header).synthesis_reach)

    def read_batch(
        self,
        files: Sequence[FileSource],
        *,
        boxes: Sequence[Box | None] | None = None,
        max_pixels: int | None = MAX_PIXELS,
    ) -> list[Latents]:
        """Decode several files as far as integers, as `read` does; regions of equal shape are decoded together.

        Args:
            files: As for `read`.
            boxes: The part of each image; None for all of them whole.
            max_pixels: As for `read`.

        Raises:
            TacitError: As for `decode`.
        """
        boxes = [None] * len(files) if boxes is None else boxes
        if len(boxes) != len(files):
            raise InvalidInput(f"there must be one box for each file, got {len(boxes)} for {len(files)}")
        parsed = [container.read(read_bytes(file), max_pixels=max_pixels) for file in files]
        with thread_count(self.threads):
            whole = self._read(parsed, boxes)
            return [latents.cut(self._for_file(latents.header).synthesis_reach) for latents in whole]

    def synthesise(
        self, latents: Sequence[Latents], *, together: int = 0, on_device: bool = False
    ) -> list[np.ndarray] | list[Array]:
        """Return the pixels of what `read` gave.

        Args:
            latents: Images, or boxes of images.
            together: The number of pixels up to which those of one size run through the model at once. A GPU needs this
                to be fast; one sample in 100,000 may then be a level off. With 0 the levels are those of `decode`.
            on_device: Whether the pixels stay on the codec's device, as tensors where the engine is torch.

        Raises:
            MissingWeights: The weights that a file needs are not on this machine.
            CorruptFile: A header contradicts its weights.

        Returns:
            Each box's pixels: [H, W, 3] or, for a grey image, [H, W, 1] uint8.
        """
        with thread_count(self.threads):
            models = [self._for_file(one.header) for one in latents]
            return synthesise(latents, models, keep=on_device, together=together)

    def _decoded_latents(self, data: FileSource, box: Box | None, max_pixels: int | None) -> Latents:
        return self._read([container.read(read_bytes(data), max_pixels=max_pixels)], [box])[0]

    def _read(self, files: Sequence[Container], boxes: Sequence[Box | None]) -> list[Latents]:
        """Return the latents of files, in the host's memory."""
        models = [self._for_file(file.header) for file in files]

        def read(part: Sequence[int]) -> list[Latents]:
            decodings = [FileDecoding(files[n], models[n], boxes[n]) for n in part]
            decode_regions(decodings, salvage=False)
            latents = [decoding.latents() for decoding in decodings]
            return [
                replace(one, values=models[n].engine.to_host(one.values)) for n, one in zip(part, latents, strict=True)
            ]

        return self._in_parts(read, files)

    def _decode(self, files: Sequence[Container], box: Box | None, salvage: bool) -> list[Image.Image]:
        models = [self._for_file(file.header) for file in files]
        for model in models:
            model.prepare("decode")

        def decode(part: Sequence[int]) -> list[tuple[Image.Image, Sequence[str]]]:
            decodings = [FileDecoding(files[n], models[n], box) for n in part]
            decode_regions(decodings, salvage=salvage)
            rasters = self._rasters(decodings, salvage)
            damage = [(*decoding.file.damage, *decoding.damage) for decoding in decodings]
            return list(zip(map_threads(images.to_pil, rasters), damage, strict=True))

        decoded = self._in_parts(decode, files)
        for _, damage in decoded:
            warn_of_damage(damage)
        return [image for image, _ in decoded]

    def _decode_smaller(self, file: Container, box: Box | None, max_side: int, salvage: bool) -> Image.Image:
        """Return the image of a file, or a box of it, with at most so many pixels along a side."""
        left, top, right, bottom = check_box(box, file.header)
        width, height = right - left, bottom - top
        size = reduced_size(width, height, max_side)
        model = self._for_file(file.header)
        small = model.small
        factor = choose_factor(small, file, width, height, size)
        if small is None or factor is None:
            (image,) = self._decode([file], box, salvage)
            return image if image.size == size else shrink(image, size)
        model.prepare("reduce")
        decoding = FileDecoding(file, small, box)
        raster = decode_reduced(decoding, factor, size, salvage)
        warn_of_damage([*file.damage, *decoding.damage])
        return images.to_pil(raster)

    def _rasters(self, decodings: Sequence[FileDecoding[Model]], salvage: bool) -> list[Raster]:
        """Synthesise the boxes of files, together on a GPU."""
        engine = self._engines.main
        if not engine.overlaps or len(decodings) == 1:
            return [decoding.raster(salvage) for decoding in decodings]
        made = synthesise(
            [decoding.latents() for decoding in decodings],
            [decoding.model for decoding in decodings],
            together=engine.pixels_together(),
        )
        return [decoding.painted(pixels, salvage) for decoding, pixels in zip(decodings, made, strict=True)]

    def _in_parts(self, work: Callable[[Sequence[int]], Sequence[T]], files: Sequence[Container]) -> list[T]:
        """Do the work on the files with these numbers, in parts that a GPU takes together; return results by file."""
        engine = self._engines.main
        parts = parts_together([file.header for file in files], engine)
        done = engine.map_overlapped(work, parts)
        results = {n: one for part, some in zip(parts, done, strict=True) for n, one in zip(part, some, strict=True)}
        return [results[n] for n in range(len(files))]

    # -- parts ----------------------------------------------------------------------------------------------------

    def _model(self, path: Path) -> Model:
        return self._engines.model(path)

    def _for_file(self, header: Header) -> Model:
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

    def _encoding(
        self,
        model: Model,
        raster: Raster,
        caption: str | None,
        options: EncodeOptions,
        progress: Progress | None = None,
    ) -> ImageEncoding:
        """Return the encoding of an image, made of the parts that it needs from this codec."""
        from tacit.codec.encoding import ImageEncoding, quality_offsets

        if not isinstance(caption, str | None):
            raise InvalidInput(f"a caption must be text, got {type(caption).__name__}")
        caption = caption.strip() or None if caption is not None else None
        if caption is not None:
            container.check_caption(caption)
        model.prepare("encode")
        tokens = self._tokens(model, caption)
        about = weights.describe(self.path)
        if not options.keep_metadata:
            raster = replace(images.raster_as_srgb(raster), metadata=Metadata())
        steer = self.steer if options.steer is None else options.steer
        found = None
        if steer and model.quality_maps:
            if options.boxes is not None:
                from tacit.finding.boxes import found_in_boxes

                found = found_in_boxes(options.boxes, raster.width, raster.height)
            elif caption is not None:
                found = self.find(raster, caption)
        refined = self._refined(options, progress)
        return ImageEncoding(
            raster,
            model if refined is None else refined.model,
            decoder=model,
            tokens=tokens,
            caption=caption,
            metadata=replace(raster.metadata, caption=caption if options.store_caption else None),
            quality_map=quality_offsets(raster, model, options.quality_map, found, steer),
            found=found,
            model_id=ARCHITECTURES[about.architecture].number,
            weights_hash=about.decode_hash,
            progressive=options.progressive,
            refined=refined,
        )

    def _keeping(
        self,
        model: Model,
        raster: Raster,
        caption: str | None,
        options: EncodeOptions,
        progress: Progress | None = None,
    ) -> ImageEncoding | Keeping:
        """Return the encoding of an image, with what it is to keep."""
        encoding = self._encoding(model, raster, caption, options, progress)
        if not options.keep:
            return encoding
        from tacit.codec.keeping import Keeping
        from tacit.codec.places import find_places

        places = find_places(options.keep, encoding.raster, self.find, best_effort=options.best_effort)
        return Keeping(encoding, places, best_effort=options.best_effort) if places else encoding

    def _refined(self, options: EncodeOptions, progress: Progress | None) -> RefinedCoding | None:
        """Return what codes regions with refined latents, on torch; None if an encoding's effort is 0."""
        effort = self.effort if options.effort is None else options.effort
        if effort == 0:
            return None
        model = self._engines.torch_model(self.path, f"effort {effort}")
        from tacit.codec.refined_coding import RefinedCoding
        from tacit.codec.refinement import Refiner
        from tacit.models.distortion import Distortion

        distortion = Distortion.of(weights.describe(self.path).card)
        return RefinedCoding(model, Refiner(model.coding, distortion, effort), options.effort_seconds, progress)

    def _tokens(self, model: Model, caption: str | None) -> CaptionTokens:
        if caption is None and self._text_encoder is None and not model.published:
            return CaptionTokens.empty(1, model.text_width)
        if self._text_encoder is None or isinstance(self._text_encoder, str):
            from tacit.text.encoders import load_encoder

            self._text_encoder = load_encoder(self._text_encoder or model.text_encoder)
        tokens = CaptionTokens.of(self._text_encoder([caption]))
        if self._weigher is not None and caption is not None:
            if model.published:
                raise InvalidInput("these weights take no word weights: the published network has no place for them")
            from tacit.words.token_weights import with_weights

            tokens = with_weights(tokens, self._text_encoder, [caption], self._weigher)
        if tokens.embeddings.shape[2] != model.text_width:
            raise InvalidInput(
                f"the text encoder must give {model.text_width} channels, which the model takes, "
                f"got {tokens.embeddings.shape[2]}"
            )
        return tokens


class Prepared:
    """An image and its caption, made by `Codec.prepare`; its analysis is kept from the first encoding on."""

    def __init__(self, encoding: ImageEncoding | Keeping, target: Target, threads: int | None) -> None:
        self._encoding, self._target, self._threads = encoding, target, threads

    @property
    def raster(self) -> Raster:
        """The image as it is encoded: upright, 8 bits."""
        return self._encoding.raster

    def encode(
        self,
        quality: float | None = None,
        *,
        reconstruct: bool = False,
        **fields: Unpack[TargetFields],
    ) -> EncodeResult:
        """Encode the image, repeating only what depends on the quality, and report what the encoding reached.

        Args:
            quality: 0 to 100.
            reconstruct: As for `Codec.encode_result`.
            **fields: Another target: `size`, `bpp` or `psnr`, as for `Codec.encode`. Without any, the target is that
                of `Codec.prepare`.

        Raises:
            InvalidInput: The target is out of its range.
            TargetNotReached: No quality reaches the target.
        """
        target = Target(quality=quality, **fields)
        target = _complete(self._target if target == Target() else target, self._encoding.model)
        with thread_count(self._threads):
            self._encoding.keep_analysis()
            return self._encoding.reach(target, reconstruct)


def _complete(target: Target, model: Model) -> Target:
    """Return the target with the default quality filled in.

    Raises:
        InvalidInput: There is a target, but the weights have one fixed rate.
    """
    if model.variable_rate:
        return Target(quality=DEFAULT_QUALITY) if target == Target() else target
    if target != Target():
        raise InvalidInput("these weights have one fixed rate: there can be no quality, size, bpp or psnr")
    return target


def _weigher(choice: bool | Weigher) -> Weigher:
    from tacit.words import shared_weigher

    return shared_weigher() if isinstance(choice, bool) else choice


@lru_cache(maxsize=4)
def _shared(model: str) -> Codec:
    return Codec(model)


def encode(
    image: ImageSource,
    caption: str | None = None,
    quality: float | None = None,
    *,
    model: str | os.PathLike[str] = weights.DEFAULT,
    options: EncodeOptions | None = None,
    **fields: Unpack[EncodeFields],
) -> bytes:
    """Return the bytes of a `.tacit` file: `Codec(model).encode(...)`, with the codec kept for the next call."""
    return _shared(os.fspath(model)).encode(image, caption, quality, options=options, **fields)


def decode(
    data: FileSource,
    *,
    box: Box | None = None,
    max_side: int | None = None,
    salvage: bool = False,
    partial: bool = False,
    max_pixels: int | None = MAX_PIXELS,
) -> Image.Image:
    """Return the image of a `.tacit` file: `Codec().decode(...)`; the weights are those that the file names."""
    return _shared(weights.DEFAULT).decode(
        data, box=box, max_side=max_side, salvage=salvage, partial=partial, max_pixels=max_pixels
    )
