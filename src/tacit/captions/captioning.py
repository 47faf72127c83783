"""A run of a captioner over pictures: what is left to do, and one picture after another."""

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

from tacit.captions.cache import AnswerCache
from tacit.captions.captioner import Captioner
from tacit.captions.picture import Picture
from tacit.captions.rows import CaptionRows
from tacit.errors import PathError, TacitError
from tacit.image import load, to_pil


@dataclass(frozen=True)
class Remainder:
    """What a run has still to ask for: the `sizes` of those images, and how many have a row (`written`), an answer in
    the cache (`cached`) or cannot be read.
    """

    sizes: tuple[tuple[int, int], ...]
    written: int
    cached: int
    unreadable: int

    def __str__(self) -> str:
        pictures = len(self.sizes) + self.written + self.cached + self.unreadable
        said = [f"{pictures:,} picture{'s' * (pictures != 1)}"]
        said += [f"{self.written:,} written already"] if self.written else []
        said += [f"{self.cached:,} in the cache"] if self.cached else []
        said += [f"{self.unreadable:,} that cannot be read"] if self.unreadable else []
        return ", ".join([*said, f"{len(self.sizes):,} to ask for"])


class Captioning:
    """Captions of pictures by `captioner`, through `cache`, into `rows`. May be called from several threads."""

    def __init__(self, captioner: Captioner, rows: CaptionRows, cache: AnswerCache | None = None) -> None:
        self._captioner = captioner
        self._rows = rows
        self._cache = cache

    def remainder(self, pictures: Iterable[Picture]) -> Remainder:
        """Read each picture that has no row, and see what is left; nothing is asked or written."""
        sizes: list[tuple[int, int]] = []
        written = cached = unreadable = 0
        for picture in pictures:
            if picture.name in self._rows:
                written += 1
                continue
            try:
                data = picture.read()
                size = _size(data)
            except (TacitError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
                unreadable += 1  # the run says why
                continue
            if self._cached(data) is not None:
                cached += 1
            else:
                sizes.append(size)
        return Remainder(tuple(sizes), written, cached, unreadable)

    def __call__(self, picture: Picture) -> Mapping[str, object]:
        """Caption one picture and write its row: {"caption", "from"}, from "cache" or "model"; {"from": "row"} alone
        where it has one already.

        Raises: CaptionerError; CaptionerUnusable; PathError; InvalidInput, for what is no image.
        """
        if picture.name in self._rows:
            return {"caption": None, "from": "row"}
        data = picture.read()
        caption = self._cached(data)
        origin = "model" if caption is None else "cache"
        if caption is None:
            caption = self._captioner(_shown(data))
            self._keep(data, caption)
        self._rows.add(picture.name, caption, self._captioner.model)
        return {"caption": caption, "from": origin}

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """On Ctrl-C, which still raises KeyboardInterrupt, stop what waits in other threads."""
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

    def _cached(self, data: bytes) -> str | None:
        return None if self._cache is None else self._cache.find(data, self._captioner.settings)

    def _keep(self, data: bytes, caption: str) -> None:
        if self._cache is None:
            return
        try:
            self._cache.keep(data, self._captioner.settings, caption)
        except PathError as error:  # the caption is here all the same, and paid for
            warnings.warn(f"the answer is not kept: {error}", stacklevel=2)


def _size(data: bytes) -> tuple[int, int]:
    """Width and height from an image's header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(data)) as image:
            return image.size


def _shown(data: bytes) -> Image.Image:
    """The image as people see it: upright, RGB, what is transparent on white."""
    image = to_pil(load(data))
    if "A" not in image.getbands():
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")
