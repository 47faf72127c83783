"""A run of a captioner over many images, through a cache of answers and into a file of captions."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType

from PIL import Image

from tacit.captions.boxer import Boxer
from tacit.captions.cache import AnswerCache
from tacit.captions.caption_file import CaptionFile
from tacit.captions.captioner import Captioner
from tacit.captions.image_location import ImageLocation
from tacit.errors import PathError, TacitError
from tacit.image import ConversionWarning, load, raster_as_srgb, to_pil
from tacit.image.reading import open_image


@dataclass(frozen=True)
class RemainingWork:
    """What a run still has to ask a captioner for."""

    sizes: tuple[tuple[int, int], ...]
    """Width and height of each image to ask for."""
    written: int
    """The number of images that have a row in the file of captions."""
    cached: int
    """The number of other images that have an answer in the cache."""
    unreadable: int
    """The number of images that cannot be read."""
    to_box: int = 0
    """The number of images whose caption is written, and whose boxes are found without asking."""

    def __str__(self) -> str:
        images = len(self.sizes) + self.written + self.cached + self.unreadable + self.to_box
        parts = [f"{images:,} image{'s' * (images != 1)}"]
        parts += [f"{self.written:,} written already"] if self.written else []
        parts += [f"{self.cached:,} in the cache"] if self.cached else []
        parts += [f"{self.to_box:,} to find boxes in"] if self.to_box else []
        parts += [f"{self.unreadable:,} that cannot be read"] if self.unreadable else []
        return ", ".join([*parts, f"{len(self.sizes):,} to ask for"])


class Captioning:
    """Captions images one by one; several threads may call one object at a time.

    Args:
        captioner: Writes the captions.
        rows: The file that captions are written to.
        cache: Answers of earlier runs; None asks the captioner for every image.
        boxer: Says where the things of a caption are, which the rows then have; None where they need not.
    """

    def __init__(
        self,
        captioner: Captioner,
        rows: CaptionFile,
        cache: AnswerCache | None = None,
        boxer: Boxer | None = None,
    ) -> None:
        self._boxer = boxer
        self._captioner = captioner
        self._rows = rows
        self._cache = cache

    def remaining_work(self, images: Iterable[ImageLocation]) -> RemainingWork:
        """Read each image that has no row yet and report what is left to do; nothing is asked or written."""
        sizes: list[tuple[int, int]] = []
        written = cached = unreadable = to_box = 0
        for image in images:
            if self._is_done(image):
                written += 1
                continue
            if self._known_caption(image) is not None:
                to_box += 1
                continue
            try:
                data = image.read()
                size = _size(data)
            except (TacitError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
                unreadable += 1  # the run reports why
                continue
            if self._cached_caption(data) is not None:
                cached += 1
            else:
                sizes.append(size)
        return RemainingWork(tuple(sizes), written, cached, unreadable, to_box)

    def __call__(self, image: ImageLocation) -> Mapping[str, object]:
        """Caption one image and write its row.

        Returns:
            {"caption": text, "from": "cache", "model" or, where only boxes were missing, "row"}, and "boxes", their
            number, where they are found; {"caption": None, "from": "row"} where the image has all.

        Raises:
            CaptionerError: The captioner has no caption of this image.
            CaptionerUnusable: The captioner cannot caption any image.
            PathError: The image cannot be read, or the row cannot be written.
            InvalidInput: The file is not an image.
        """
        if self._is_done(image):
            return {"caption": None, "from": "row"}
        data = image.read()
        answer, origin = self._known_caption(image), "row"
        if answer is None:
            answer, origin = self._cached_caption(data), "cache"
        asked = answer is None
        pixels = _upright_rgb(data) if asked or self._boxer is not None else None
        if answer is None:
            assert pixels is not None
            answer, origin = self._captioner(pixels), "model"
        caption, boxes = answer, None
        if self._boxer is not None and self._boxer.reads_answers:
            assert pixels is not None
            caption, boxes = self._boxer(pixels, answer)
        if asked:  # only now: an answer that cannot be used is not kept
            self._store_in_cache(data, answer)
        if self._boxer is not None and not self._boxer.reads_answers:
            assert pixels is not None
            caption, boxes = self._boxer(pixels, answer)
        self._rows.add(image.name, caption, self._captioner.model, boxes)
        return {"caption": caption, "from": origin} | ({} if boxes is None else {"boxes": len(boxes)})

    def _is_done(self, image: ImageLocation) -> bool:
        return image.name in self._rows if self._boxer is None else self._rows.has_boxes(image.name)

    def _known_caption(self, image: ImageLocation) -> str | None:
        """Return the caption that an image has a row with, if boxes can be found without asking for another one."""
        return None if self._boxer is None or self._boxer.reads_answers else self._rows.caption(image.name)

    @contextlib.contextmanager
    def stopping_on_interrupt(self) -> Iterator[None]:
        """Let Ctrl-C also stop the captioner's calls in other threads; it still raises KeyboardInterrupt."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals come to the main thread only
            return
        before = signal.getsignal(signal.SIGINT)

        def stop(number: int, frame: FrameType | None) -> None:
            self._captioner.stop()
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)

    def _cached_caption(self, data: bytes) -> str | None:
        return None if self._cache is None else self._cache.find(data, self._captioner.settings)

    def _store_in_cache(self, data: bytes, caption: str) -> None:
        if self._cache is None:
            return
        try:
            self._cache.store(data, self._captioner.settings, caption)
        except PathError as error:  # the caption is here all the same, and paid for
            warnings.warn(f"the answer is not cached: {error}", stacklevel=2)


def _size(data: bytes) -> tuple[int, int]:
    """Return width and height from an image's header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", ConversionWarning)  # which comes when the image is read
        with open_image(io.BytesIO(data), "image") as image:
            return image.size


def _upright_rgb(data: bytes) -> Image.Image:
    """Return the image as people see it: upright, sRGB, its transparent parts on white."""
    image = to_pil(raster_as_srgb(load(data)))
    if "A" not in image.getbands():
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")
