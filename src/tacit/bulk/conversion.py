"""The conversion of one unit from source to destination: all that a worker does, without Ray."""

from __future__ import annotations

import hashlib
import math
import os
import socket
import sys
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from PIL import Image

from tacit.bulk.engine import EncodingEngine, Engine, EngineInput, EngineOutput, UnusableImage, error_line
from tacit.bulk.job import BulkJob, StorageKind
from tacit.bulk.manifest import TRIES, ManifestEntry, read_entry, write_entry
from tacit.bulk.prefetch import prefetch
from tacit.bulk.readers import read_records
from tacit.bulk.record import IMAGE_EXTENSIONS, Record, file_name
from tacit.bulk.store import ShardStore, copy_file
from tacit.bulk.timings import Timings
from tacit.bulk.unit import WorkUnit
from tacit.bulk.windows import GPU_WINDOWS, WindowItem, make_windows
from tacit.bulk.writers import RecordWriter, open_writer
from tacit.codec.keep import KeepWarning
from tacit.errors import CorruptFile, InvalidInput
from tacit.image import ConversionWarning

UNKEPT = "something that was to be kept is not"  # whose warnings have the figures of each image

MAX_TRIES = 3  # of a unit that its worker is lost at; then it is left


def attempt(unit: WorkUnit, job: BulkJob, engine: Engine) -> ManifestEntry | str:
    """Convert a unit, and return its entry or why there is none; an error is raised only where the process must end.

    A unit that kills its process would be tried without end. Each try therefore first records itself in a file, so that
    tries can be counted.
    """
    try:
        store = ShardStore(job.destination)
        marker = f"{TRIES}/{unit.name}"
        tries = int((store.read(marker) or b"0").split()[0])
        if tries == MAX_TRIES:
            return f"{tries} workers were lost while they worked on it"
        store.put(marker, f"{tries + 1} {os.getpid()} {socket.gethostname()}".encode())
        try:
            return convert(unit, job, engine, lost=tries)
        finally:
            store.remove([marker])
    except Exception as error:  # a shard that cannot be read must not end the run
        return error_line(error)


def convert(unit: WorkUnit, job: BulkJob, engine: Engine, lost: int = 0) -> ManifestEntry:
    """Read a unit, code its images, and write its output and then its entry in the manifest.

    A unit that a worker has done before it was lost is not done again.

    Args:
        unit: What to convert.
        job: The run's settings.
        engine: Codes the images.
        lost: The number of workers that were lost at the unit.

    Raises:
        PathError: A shard cannot be read or written; the manifest has no entry then.
        InvalidInput: A shard is damaged; the manifest has no entry then.
        CorruptFile: What was written does not verify; the manifest has no entry then.
    """
    source, store = ShardStore(job.source), ShardStore(job.destination)
    if (earlier := read_entry(store, unit.name)) is not None and earlier.inputs == unit.inputs:
        return earlier
    begin = time.perf_counter()
    entry = _copy(unit, source, store) if unit.kind is None else _code(unit, job, engine, source, store)
    seconds = {**entry.seconds, "wall": time.perf_counter() - begin}
    entry = replace(entry, seconds=seconds, memory=_peak_memory(), lost=lost)
    write_entry(store, entry)
    return entry


def _copy(unit: WorkUnit, source: ShardStore, store: ShardStore) -> ManifestEntry:
    timings = Timings()
    with timings.measure("write"):
        files = {name: asdict(copy_file(source, store, name)) for name in unit.inputs}
    return ManifestEntry(
        name=unit.name,
        inputs=unit.inputs,
        files=files,
        others=len(files),
        bytes_rest=sum(file["bytes"] for file in files.values()),
        seconds=timings.seconds,
    )


def _code(unit: WorkUnit, job: BulkJob, engine: Engine, source: ShardStore, store: ShardStore) -> ManifestEntry:
    tally = _Tally()
    timings = Timings()
    latents: dict[str, str] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("always", ConversionWarning)
        warnings.simplefilter("always", KeepWarning)
        records = timings.measure_each("read", read_records(unit, source, job))
        larger = GPU_WINDOWS if job.device.startswith("cuda") else 1
        all_windows = make_windows(records, engine, timings, job.threads, larger=larger)
        with open_writer(unit, store, job) as writer, prefetch(all_windows) as windows:
            for window in timings.measure_each("wait", windows):
                _code_window(window, job, engine, writer, tally, timings, latents)
        if job.verify and isinstance(engine, EncodingEngine):
            with timings.measure("verify"):
                tally.counts["verified"] = _verify(unit, job, engine, store, writer, latents)
                if tally.counts["verified"] != tally.counts["images"]:
                    written, there = tally.counts["images"], tally.counts["verified"]
                    raise CorruptFile(f"{written} images were written, and {there} are there")
        if unit.kind != StorageKind.FOLDER and not (tally.counts["images"] or tally.counts["failed"]):
            warnings.warn("a shard or table has no image", ConversionWarning, stacklevel=2)
    not_kept = Counter(
        UNKEPT if issubclass(w.category, KeepWarning) else str(w.message)
        for w in caught
        if issubclass(w.category, ConversionWarning | KeepWarning)
    )
    return ManifestEntry(
        name=unit.name,
        inputs=unit.inputs,
        files={name: asdict(written) for name, written in writer.files.items()},
        **tally.counts,
        psnr=tally.psnr,
        seconds=timings.seconds,
        warnings=dict(not_kept),
        failures=tuple(tally.failures),
    )


class _Tally:
    """Counts and failures while a unit is coded."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._decibels = 0.0
        self.failures: list[Mapping[str, str]] = []

    def add_psnr(self, decibels: float) -> None:
        """Add an image's PSNR; that of an image without any loss has no part in a mean."""
        if math.isfinite(decibels):
            self._decibels += decibels
            self.counts["measured"] += 1

    @property
    def psnr(self) -> float | None:
        """The mean PSNR in dB."""
        return self._decibels / self.counts["measured"] if self.counts["measured"] else None

    def add_failure(self, record: Record, reason: object) -> None:
        self.counts["failed"] += 1
        self.failures.append({"key": file_name(record.key, record.suffix), "reason": str(reason)})


def _code_window(
    window: Sequence[WindowItem],
    job: BulkJob,
    engine: Engine,
    writer: RecordWriter,
    tally: _Tally,
    timings: Timings,
    latents: dict[str, str],
) -> None:
    """Code the images of a window, write its records, and add to `latents`: hash of a file -> hash of its latents."""
    ready = [item.image for item in window if isinstance(item.image, EngineInput)]
    with timings.measure("code"):
        outputs = iter(engine.code(ready) if ready else [])
    for item in window:
        record, image = item.record, item.image
        result = next(outputs) if isinstance(image, EngineInput) else image
        if isinstance(result, UnusableImage):
            tally.add_failure(record, result)
            continue
        data = result.data if isinstance(result, EngineOutput) else None
        try:
            with timings.measure("write"):
                writer.add(record, data, engine.suffix)
        except InvalidInput as error:
            tally.add_failure(record, error)
            continue
        tally.counts["bytes_rest"] += sum(map(len, record.rest.values()))
        if data is None or not isinstance(result, EngineOutput) or not isinstance(image, EngineInput):
            tally.counts["others"] += 1
            continue
        if isinstance(engine, EncodingEngine) and image.raster and tally.counts["images"] % job.psnr_every == 0:
            with timings.measure("measure"):
                tally.add_psnr(engine.measure(image.raster, data))
        if result.latents is not None:
            latents[_digest(data)] = result.latents
        tally.counts.update(
            images=1,
            captions=bool(image.caption),
            unboxed=image.boxes == (),
            pixels=image.pixels,
            bytes_in=len(record.image or b""),
            bytes_out=len(data),
        )


def _verify(
    unit: WorkUnit,
    job: BulkJob,
    engine: EncodingEngine,
    store: ShardStore,
    writer: RecordWriter,
    latents: Mapping[str, str],
) -> int:
    """Read back what was written, from where it was written to, and decode its latents.

    Args:
        unit: The unit that was converted.
        job: The run's settings.
        engine: Decodes the latents.
        store: The destination.
        writer: Knows the files that were written.
        latents: The hash of the latents that were coded, by the hash of the file's bytes.

    Returns:
        The number of images that are there.

    Raises:
        CorruptFile: An image is not as it was written, or decodes to other latents.
    """
    written = WorkUnit(unit.name, job.output_kind, dict.fromkeys(writer.files, ""))
    column = job.image_column if unit.kind == StorageKind.PARQUET else None
    if column is not None and column.lower() in IMAGE_EXTENSIONS:
        column = engine.suffix  # the name that the writer gives it
    reading = replace(job, verify=False, decode=True, box_source=None, image_column=column, caption_column=None)
    count = 0
    for record in read_records(written, store, reading):
        if record.image is None:
            continue
        name = file_name(record.key, record.suffix)
        expected = latents.get(_digest(record.image))
        if expected is None:
            raise CorruptFile(f"{name}: not as it was written")
        if engine.latents_hash(record.image) != expected:
            raise CorruptFile(f"{name}: decodes to other latents than were coded")
        count += 1
    return count


def _peak_memory() -> int:
    """Return the most bytes that this process has held; 0 where the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes there, KiB elsewhere


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
