"""One unit from source to destination: all that a worker does. Ray is not needed here, and not known."""

from __future__ import annotations

import hashlib
import math
import os
import socket
import sys
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace

from PIL import Image

from tacit.bulk.ahead import ahead
from tacit.bulk.clock import Clock
from tacit.bulk.engine import Coded, Encoder, Engine, Prepared, Unusable, explained
from tacit.bulk.job import Job, Kind
from tacit.bulk.manifest import TRIES, Entry, read_entry, write_entry
from tacit.bulk.readers import read
from tacit.bulk.record import PHOTOS, Record, named
from tacit.bulk.store import Store, copy
from tacit.bulk.unit import Unit
from tacit.bulk.writers import Writer, writer
from tacit.errors import CorruptFile, InvalidInput
from tacit.image import ConversionWarning

WINDOW = 64  # images that are coded together at most, so that some of them have equal shapes,
WINDOW_PIXELS = 16 << 20  # their pixels, but for one image that has more,
WINDOW_BYTES = 64 << 20  # and what is read of them and of the files beside them, but for one sample that has more
TRIES_OF_UNIT = 3  # that may cost a worker; then it is left


def attempt(unit: Unit, job: Job, engine: Engine) -> Entry | str:
    """The unit's entry, or why there is none. Raises only where the process is to end.

    A unit that the process dies of would be tried without end: so it is written down that it was begun.
    """
    try:
        store = Store(job.destination)
        marker = f"{TRIES}/{unit.name}"
        begun = int((store.read(marker) or b"0").split()[0])
        if begun == TRIES_OF_UNIT:
            return f"{begun} workers were lost while they were at it"
        store.put(marker, f"{begun + 1} {os.getpid()} {socket.gethostname()}".encode())
        try:
            return convert(unit, job, engine, lost=begun)
        finally:
            store.remove([marker])
    except Exception as error:  # a shard that cannot be read is not to end the run
        return explained(error)


def convert(unit: Unit, job: Job, engine: Engine, lost: int = 0) -> Entry:
    """Read the unit, code its images, write what it becomes and then its entry in the manifest.

    lost: workers that have been lost at it.

    A unit that has been done already, by a worker that was lost right after, is not done again.

    Raises: PathError and InvalidInput, where a shard cannot be read or written; CorruptFile, where what was written
    does not verify. Nothing is in the manifest then.
    """
    source, store = Store(job.source), Store(job.destination)
    if (done := read_entry(store, unit.name)) is not None and done.inputs == unit.inputs:
        return done
    begun = time.perf_counter()
    entry = _copied(unit, source, store) if unit.kind is None else _coded(unit, job, engine, source, store)
    seconds = {**entry.seconds, "wall": time.perf_counter() - begun}
    entry = replace(entry, seconds=seconds, memory=_peak_memory(), lost=lost)
    write_entry(store, entry)
    return entry


def _copied(unit: Unit, source: Store, store: Store) -> Entry:
    clock = Clock()
    with clock("write"):
        files = {name: asdict(copy(source, store, name)) for name in unit.inputs}
    size = sum(about["bytes"] for about in files.values())
    return Entry(unit.name, unit.inputs, files, others=len(files), bytes_rest=size, seconds=clock.seconds)


def _coded(unit: Unit, job: Job, engine: Engine, source: Store, store: Store) -> Entry:
    tally = _Tally()
    clock = Clock()
    expected: dict[str, str] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("always", ConversionWarning)
        records = clock.each("read", read(unit, source, job))
        with writer(unit, store, job) as out:
            with ahead(_windows(records, engine, clock, job.threads)) as windows:
                for window in clock.each("wait", windows):
                    _code_window(window, job, engine, out, tally, clock, expected)
        if job.verify and isinstance(engine, Encoder):
            with clock("verify"):
                tally.counts["verified"] = _verify(unit, job, engine, store, out, expected)
                if tally.counts["verified"] != tally.counts["images"]:
                    raise CorruptFile(
                        f"{tally.counts['verified']} images are there, and {tally.counts['images']} were written"
                    )
    lost = Counter(str(w.message) for w in caught if issubclass(w.category, ConversionWarning))
    return Entry(
        unit.name,
        unit.inputs,
        {name: asdict(written) for name, written in out.files.items()},
        **tally.counts,
        psnr=tally.psnr,
        seconds=clock.seconds,
        warnings=dict(lost),
        failures=tuple(tally.failures),
    )


class _Tally:
    """What is counted on the way."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._decibels = 0.0
        self.failures: list[Mapping[str, str]] = []

    def measure(self, decibels: float) -> None:
        """An image's PSNR; that of one without any loss has no part in a mean."""
        if math.isfinite(decibels):
            self._decibels += decibels
            self.counts["measured"] += 1

    @property
    def psnr(self) -> float | None:
        """The mean."""
        return self._decibels / self.counts["measured"] if self.counts["measured"] else None

    def fail(self, record: Record, why: object) -> None:
        self.counts["failed"] += 1
        self.failures.append({"key": named(record.key, record.suffix), "reason": str(why)})


Window = Sequence[tuple[Record, Prepared | Unusable | None]]
"""Records with what their images are ready for, or why they are not; None where there is no image."""


def _windows(records: Iterable[Record], engine: Engine, clock: Clock, threads: int) -> Iterator[Window]:
    """Records, their images decoded, as many together as may be in memory."""
    window: list[tuple[Record, Prepared | Unusable | None]] = []
    pixels = held = 0
    for record, prepared in _prepared(records, engine, clock, threads):
        more = prepared.pixels if isinstance(prepared, Prepared) else 0
        size = len(record.image or b"") + sum(map(len, record.rest.values()))
        full = len(window) == WINDOW or pixels + more > WINDOW_PIXELS or held + size > WINDOW_BYTES
        if window and full:
            yield window
            window, pixels, held = [], 0, 0
        window.append((record, prepared))
        pixels, held = pixels + more, held + size
    if window:
        yield window


def _prepared(
    records: Iterable[Record], engine: Engine, clock: Clock, threads: int
) -> Iterator[tuple[Record, Prepared | Unusable | None]]:
    """In order; decoded by several threads where there are several, a few images ahead."""

    def one(record: Record) -> Prepared | Unusable | None:
        if record.problem:
            return Unusable(record.problem)
        if record.image is None:
            return None
        with clock("load"):
            try:
                return engine.prepare(record)
            except Unusable as error:
                return error

    if threads == 1:
        for record in records:
            yield record, one(record)
        return
    waiting: deque[tuple[Record, Future[Prepared | Unusable | None]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="tacit-load") as pool:
        for record in records:
            waiting.append((record, pool.submit(one, record)))
            if len(waiting) > threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


def _code_window(
    window: Window, job: Job, engine: Engine, out: Writer, tally: _Tally, clock: Clock, expected: dict[str, str]
) -> None:
    ready = [prepared for _, prepared in window if isinstance(prepared, Prepared)]
    with clock("code"):
        coded = iter(engine.code(ready) if ready else [])
    for record, prepared in window:
        result = next(coded) if isinstance(prepared, Prepared) else prepared
        if isinstance(result, Unusable):
            tally.fail(record, result)
            continue
        data = result.data if isinstance(result, Coded) else None
        try:
            with clock("write"):
                out.add(record, data, engine.suffix)
        except InvalidInput as error:
            tally.fail(record, error)
            continue
        tally.counts["bytes_rest"] += sum(map(len, record.rest.values()))
        if data is None or not isinstance(result, Coded) or not isinstance(prepared, Prepared):
            tally.counts["others"] += 1
            continue
        if isinstance(engine, Encoder) and prepared.photo and tally.counts["images"] % job.psnr_every == 0:
            with clock("measure"):
                tally.measure(engine.measure(prepared.photo, data))
        if result.latents is not None:
            expected[_digest(data)] = result.latents
        tally.counts.update(
            images=1,
            captions=bool(prepared.caption),
            pixels=prepared.pixels,
            bytes_in=len(record.image or b""),
            bytes_out=len(data),
        )


def _verify(unit: Unit, job: Job, engine: Encoder, store: Store, out: Writer, expected: Mapping[str, str]) -> int:
    """Read back what was written, where it was written to, and decode its latents. Returns how many images there are.

    expected: by the hash of an image's bytes, the hash of the latents that were coded. Raises: CorruptFile.
    """
    written = Unit(unit.name, job.to, dict.fromkeys(out.files, ""))
    column = job.image_column if unit.kind == Kind.PARQUET else None
    if column is not None and column.lower() in PHOTOS:
        column = engine.suffix  # as the writer calls it
    reading = replace(job, verify=False, decode=True, image_column=column, caption_column=None)
    found = 0
    for record in read(written, store, reading):
        if record.image is None:
            continue
        name = named(record.key, record.suffix)
        coded = expected.get(_digest(record.image))
        if coded is None:
            raise CorruptFile(f"{name} is not as it was written")
        if engine.latents(record.image) != coded:
            raise CorruptFile(f"{name} decodes to other latents than were coded")
        found += 1
    return found


def _peak_memory() -> int:
    """Of this process, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes there, KiB elsewhere


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
