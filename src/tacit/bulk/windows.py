"""Windows: records whose images are decoded and coded together, as many as memory allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tacit.bulk.engine import Engine, EngineInput, UnusableImage
from tacit.bulk.record import Record
from tacit.bulk.timings import Timings

WINDOW_IMAGES = 64  # that are coded together at most, so that some of them have equal shapes,
WINDOW_PIXELS = 16 << 20  # their pixels, except for one image that has more,
WINDOW_BYTES = 64 << 20  # and what is read of them and of the files beside them, except for one sample that has more
GPU_WINDOWS = 4  # times as large windows keep a GPU busy


@dataclass(frozen=True)
class WindowItem:
    """A record, and what its image is ready for."""

    record: Record
    image: EngineInput | UnusableImage | None
    """The image ready to be coded, or why it cannot be; None where the record has no image."""


def make_windows(
    records: Iterable[Record], engine: Engine, timings: Timings, threads: int, *, larger: int = 1
) -> Iterator[Sequence[WindowItem]]:
    """Decode the images of records and yield the records, as many together as may be in memory.

    Args:
        records: A unit's records; their order is kept.
        engine: Decodes the images.
        timings: Takes the time of decoding, as "load".
        threads: How many threads decode.
        larger: How many times as large as usual windows may be.
    """
    window: list[WindowItem] = []
    pixels = held = 0
    for item in _prepare(records, engine, timings, threads):
        more = item.image.pixels if isinstance(item.image, EngineInput) else 0
        size = len(item.record.image or b"") + sum(map(len, item.record.rest.values()))
        full = (
            len(window) == larger * WINDOW_IMAGES
            or pixels + more > larger * WINDOW_PIXELS
            or held + size > larger * WINDOW_BYTES
        )
        if window and full:
            yield window
            window, pixels, held = [], 0, 0
        window.append(item)
        pixels, held = pixels + more, held + size
    if window:
        yield window


def _prepare(records: Iterable[Record], engine: Engine, timings: Timings, threads: int) -> Iterator[WindowItem]:
    """Yield the records in order; several threads decode a few images ahead."""

    def prepare(record: Record) -> EngineInput | UnusableImage | None:
        if record.problem:
            return UnusableImage(record.problem)
        if record.image is None:
            return None
        with timings.measure("load"):
            try:
                return engine.prepare(record)
            except UnusableImage as error:
                return error

    if threads == 1:
        for record in records:
            yield WindowItem(record, prepare(record))
        return
    waiting: deque[tuple[Record, Future[EngineInput | UnusableImage | None]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="tacit-load") as pool:
        for record in records:
            waiting.append((record, pool.submit(prepare, record)))
            if len(waiting) > threads:
                first, future = waiting.popleft()
                yield WindowItem(first, future.result())
        for first, future in waiting:
            yield WindowItem(first, future.result())
