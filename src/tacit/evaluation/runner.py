"""Running codecs over images: real files, several processes, results that survive an interruption.

Work is cut into units of one image, codec and quality. A unit's key is a hash of all that its result depends on; what
the journal already has of it is not done again.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import math
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tacit import files
from tacit.errors import InvalidInput, MissingExtra, PathError, TacitError, WeightsError
from tacit.evaluation.authors import AUTHORS, load_authors_metric
from tacit.evaluation.codecs import EvalCodec, Quality, TacitCodec
from tacit.evaluation.cost import Cost
from tacit.evaluation.datasets import Dataset, Item
from tacit.evaluation.journal import Entry, Journal
from tacit.evaluation.metrics import Metric, load_metric
from tacit.machine import available_memory, cores

JOURNAL = "results.jsonl"
FILES = "files"
UNREADABLE = "the image cannot be read: "
UNUSABLE = "cannot be used here: "
BYTES_PER_PIXEL = 700  # held while an image is worked on; SSIMULACRA 2 and MS-SSIM take 540, tacit-s 160
WORKER_BYTES = 400 << 20  # an interpreter with numpy, torch and a small model


class Progress(Protocol):
    """Hears how it goes."""

    def begin(self, total: int, known: int) -> None:
        """So many units, of which so many are known from earlier."""

    def done(self, text: str) -> None:
        """A unit is done; what it was, in a few words."""

    def say(self, text: str) -> None:
        """Something that a user must know."""


@dataclass(frozen=True)
class Row:
    """One image through one codec at one quality.

    file: relative to the results' folder. encode, decode: their costs. metrics: by name; None where there is no finite
    value, and then `notes` says why.
    """

    dataset: str
    image: str
    codec: str
    quality: Quality
    width: int
    height: int
    bytes: int
    file: str
    encode: Cost
    decode: Cost
    metrics: Mapping[str, float | None]
    notes: Mapping[str, str]

    @property
    def bpp(self) -> float:
        """Bits of the whole file per pixel."""
        return 8 * self.bytes / (self.width * self.height)


@dataclass(frozen=True)
class SetRow:
    """A metric of a whole set, at one quality of a codec."""

    dataset: str
    codec: str
    quality: Quality
    metric: str
    value: float


@dataclass(frozen=True)
class Failure:
    """What could not be done; image, codec and quality are empty or None where it was not about one of them."""

    dataset: str
    image: str
    codec: str
    quality: Quality | None
    reason: str


@dataclass(frozen=True)
class Measured:
    """What a run found."""

    rows: tuple[Row, ...]
    sets: tuple[SetRow, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Unit:
    """One piece of work. caption: what the codec is given. file: relative to `folder`. metrics: protocols by name.
    earlier: an entry that lacks some of them, whose file is there still."""

    key: str
    dataset: str
    item: Item
    codec: EvalCodec
    quality: Quality
    caption: str | None
    folder: Path
    file: str
    metrics: Mapping[str, str]
    threads: int = 1
    earlier: Entry | None = None


def run(
    datasets: Sequence[Dataset],
    codecs: Sequence[EvalCodec],
    metrics: Sequence[Metric],
    qualities: Mapping[str, Sequence[Quality]],
    out: Path,
    progress: Progress,
    *,
    jobs: int | None = None,
    fresh: bool = False,
) -> Measured:
    """Measure every codec on every image at its qualities.

    qualities: by codec's name. out: folder of the journal and the codecs' files. jobs: processes; None for as many as
    cores and memory allow, 1 for this process alone. fresh: take nothing from an earlier journal.

    What fails is said and left out. Ctrl-C or an error keeps what is done, and the same call goes on from there.

    Raises: PathError, where results cannot be written, such as on a full disk.
    """
    units, failures = _plan(datasets, codecs, metrics, qualities, out)
    for failure in failures:
        progress.say(_text(failure))
    processes = _processes(jobs, datasets, codecs)
    units = [dataclasses.replace(unit, threads=max(1, cores() // processes)) for unit in units]
    with Journal(out / JOURNAL, fresh=fresh) as journal:
        waiting = [waits for unit in units if (waits := _still_to_do(unit, journal.entries.get(unit.key))) is not None]
        progress.begin(len(units), len(units) - len(waiting))
        unusable: set[str] = set()
        for unit, entry, problem in _work(waiting, processes, unusable):
            if entry is not None:
                journal.append(entry)
                progress.done(f"{unit.item.name} {unit.codec.name} {_shown(unit.quality)}")
            else:
                failure = Failure(unit.dataset, unit.item.name, unit.codec.name, unit.quality, problem)
                if problem.startswith(UNREADABLE):  # no codec's fault, and said once
                    failure = dataclasses.replace(failure, codec="", quality=None)
                if problem.startswith(UNUSABLE):  # it would fail on every other image too
                    unusable.add(unit.codec.name)
                    failure = dataclasses.replace(failure, image="", quality=None)
                if failure not in failures:
                    failures.append(failure)
                    progress.say(_text(failure))
                progress.done(f"{unit.item.name} {unit.codec.name} {_shown(unit.quality)} failed")
        image_metrics = {metric.name for metric in metrics if metric.level == "image"}
        rows = [_row(unit, journal.entries[unit.key], image_metrics) for unit in units if unit.key in journal.entries]
        failed = {(f.dataset, f.image, f.codec, f.quality) for f in failures}
        rows = [row for row in rows if (row.dataset, row.image, row.codec, row.quality) not in failed]
        sets = _sets(units, rows, [m for m in metrics if m.level == "set"], journal, progress, failures)
    return Measured(tuple(rows), tuple(sets), tuple(failures))


def without_value(rows: Sequence[Row]) -> list[str]:
    """Which metrics have no value for some of the rows, which are of one set, why, and for which images."""
    images: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        for name, text in row.notes.items():
            images.setdefault((name, text), {})[row.image] = None
    said = []
    for (name, text), own in sorted(images.items(), key=lambda one: one[0][0]):
        named = ", ".join(list(own)[:5]) + (", ..." if len(own) > 5 else "")
        said.append(f"{named}: {text if text.startswith(name) else f'{name}: {text}'}")
    return said if len(said) <= 10 else [*said[:10], f"and {len(said) - 10} more of this kind, in results.json"]


# -- planning ---------------------------------------------------------------------------------------------------------


def _plan(
    datasets: Sequence[Dataset],
    codecs: Sequence[EvalCodec],
    metrics: Sequence[Metric],
    qualities: Mapping[str, Sequence[Quality]],
    out: Path,
) -> tuple[list[Unit], list[Failure]]:
    units, failures = [], []
    of_images = [metric for metric in metrics if metric.level == "image"]
    settings = {codec.name: _digest(codec.settings()) for codec in codecs}
    for dataset in datasets:
        failures += [Failure(dataset.name, name, "", None, problem) for name, problem in dataset.problems.items()]
        for codec in codecs:
            without = [item for item in dataset.items if codec.captions != "none" and item.caption is None]
            if without:
                every = len(without) == len(dataset.items)
                named = ", ".join(item.name for item in without[:5]) + (", ..." if len(without) > 5 else "")
                reason = "no image has a caption" if every else f"{len(without)} images have no caption ({named})"
                reason += "; they are left out for this codec"
                failures.append(Failure(dataset.name, "", codec.name, None, reason))
        for number, item in enumerate(dataset.items):
            # Another caption makes another value where a metric compares with it.
            protocols = {m.name: m.protocol + f", {item.caption}" * m.needs_caption for m in of_images}
            for codec in codecs:
                if codec.captions != "none" and item.caption is None:
                    continue
                caption = given_caption(codec, dataset, number)
                for quality in qualities[codec.name]:
                    key = _digest([item.name, item.sha256, codec.name, settings[codec.name], _shown(quality), caption])
                    stem = re.sub(r"[^\w.-]+", "_", Path(item.name).stem)[:80]
                    file = f"{FILES}/{codec.name}/{_shown(quality)}/{stem}-{key[:12]}.{codec.suffix}"
                    units.append(Unit(key, dataset.name, item, codec, quality, caption, out, file, protocols))
    return units, failures


def given_caption(codec: EvalCodec, dataset: Dataset, number: int) -> str | None:
    """What a codec is told of an image: nothing, its caption, or that of the next image that has another one, around
    the end, which shows what a wrong caption does."""
    own = dataset.items[number].caption
    if codec.captions != "swapped":
        return own if codec.captions == "own" else None
    others = [*dataset.items[number + 1 :], *dataset.items[:number]]
    return next((item.caption for item in others if item.caption not in (None, own)), own)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _shown(quality: Quality | None) -> str:
    return f"{quality:g}" if isinstance(quality, int | float) else str(quality)


def _text(failure: Failure) -> str:
    parts = [failure.dataset, failure.image, failure.codec, "" if failure.quality is None else _shown(failure.quality)]
    return f"{' '.join(part for part in parts if part)}: {failure.reason}"


def _still_to_do(unit: Unit, earlier: Entry | None) -> Unit | None:
    """The unit with what is known of it; None if that is all."""
    if earlier is None or not (unit.folder / unit.file).is_file():
        return unit
    known: Mapping[str, str] = earlier["protocols"]
    if all(known.get(name) == protocol for name, protocol in unit.metrics.items()):
        return None
    return dataclasses.replace(unit, earlier=earlier)


def _row(unit: Unit, entry: Entry, metrics: set[str]) -> Row:
    return Row(
        unit.dataset,
        unit.item.name,
        unit.codec.name,
        unit.quality,
        entry["width"],
        entry["height"],
        entry["bytes"],
        unit.file,
        Cost(*entry["encode"]),
        Cost(*entry["decode"]),
        {name: value for name, value in entry["metrics"].items() if name in metrics},
        {name: text for name, text in entry["notes"].items() if name in metrics},
    )


def _processes(jobs: int | None, datasets: Sequence[Dataset], codecs: Sequence[EvalCodec]) -> int:
    """As many as there are cores, unless so many of the largest image do not fit the memory that is free."""
    if jobs is not None:
        return jobs
    free = available_memory()
    if free is None:
        return cores()
    largest = max((_pixels(item.path) for dataset in datasets for item in dataset.items), default=0)
    need = WORKER_BYTES + largest * BYTES_PER_PIXEL
    for codec in codecs:
        if isinstance(codec, TacitCodec):
            # Weights are stored in half precision; frozen networks may be held in float64.
            need = max(
                need, WORKER_BYTES + largest * BYTES_PER_PIXEL + 8 * max(map(os.path.getsize, codec.models.values()))
            )
    return max(1, min(cores(), int(free * 0.8) // need))


def _pixels(path: Path) -> int:
    """By the header; 0 for what is no image, which will be said when its turn comes."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.width * image.height
    except (OSError, ValueError, Image.DecompressionBombError):
        return 0


# -- working ----------------------------------------------------------------------------------------------------------

Result = tuple[Unit, Entry | None, str]
"""A unit, its entry, or why there is none."""


def _work(units: Sequence[Unit], processes: int, unusable: Set[str]) -> Iterator[Result]:
    """Results as they come. unusable: names of codecs to leave alone from now on, which the caller adds to."""
    if processes == 1:
        for unit in units:
            if unit.codec.name not in unusable:
                yield unit, *_attempt(unit)
        return
    suspects: list[Unit] = []
    rest = list(units)
    while rest:
        lost: list[Unit] = []
        yield from _pooled(rest, processes, unusable, lost, suspects)
        rest = lost
    for unit in suspects:  # a process died while these ran: one at a time, to see whose fault it was
        again: list[Unit] = []
        yield from _pooled([unit], 1, unusable, [], again)
        for one in again:
            yield one, None, "its process died: out of memory, or the codec crashed"


def _pooled(
    units: Sequence[Unit], processes: int, unusable: Set[str], lost: list[Unit], suspects: list[Unit]
) -> Iterator[Result]:
    """Results from a pool of processes. Should one die, what it may have been working on is put into `suspects`, and
    what was not begun into `lost`."""
    remaining = list(reversed(units))
    running: dict[Future[tuple[Entry | None, str]], Unit] = {}
    with _pool(min(processes, len(units)), units[0].threads) as pool:
        try:
            while remaining or running:
                while remaining and len(running) < processes:
                    unit = remaining[-1]
                    if unit.codec.name not in unusable:
                        running[pool.submit(_attempt_in_worker, unit)] = unit
                    remaining.pop()
                if not running:
                    continue
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    entry, problem = future.result()
                    yield running.pop(future), entry, problem
        except BrokenProcessPool:
            suspects += running.values()
            lost += reversed(remaining)


@contextmanager
def _pool(processes: int, threads: int) -> Iterator[ProcessPoolExecutor]:
    # Not forked: a fork of a process in which torch has threads can hang.
    pool = ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(threads,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(threads: int) -> None:
    """In a worker, before torch is imported."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _attempt_in_worker(unit: Unit) -> tuple[Entry | None, str]:
    """Ctrl-C ends the work in progress, and any program that it runs; between units it is the parent's to hear."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _attempt(unit)
    except KeyboardInterrupt:
        return None, "interrupted"
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _attempt(unit: Unit) -> tuple[Entry | None, str]:
    """In a worker: the entry, or why there is none.

    Raises: PathError, where the disk is full: that is not this unit's fault alone.
    """
    try:
        load_pixels(unit.item.path)
    except TacitError as error:
        return None, UNREADABLE + " ".join(str(error).split())
    try:
        return _measure(unit), ""
    except (MissingExtra, WeightsError) as error:
        return None, UNUSABLE + " ".join(str(error).split())
    except TacitError as error:
        _check_space(error)
        return None, " ".join(str(error).split())
    except MemoryError:
        return None, "not enough memory"
    except Exception as error:  # a codec's library may raise whatever it likes
        _check_space(error)
        return None, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _check_space(error: BaseException) -> None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PathError(f"{files.reason(cause)}; what is done so far is kept, and the same command goes on")
        cause = cause.__cause__


def _measure(unit: Unit) -> Entry:
    original = load_pixels(unit.item.path)
    height, width, _ = original.shape
    target = unit.folder / unit.file
    earlier = unit.earlier or {}
    if earlier:
        decoded, decode = unit.codec.decode(target, unit.quality, unit.threads)
        encode = Cost(*earlier["encode"])
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Under another name until it is whole.
        partial = target.with_name(f"{target.stem}.part.{unit.codec.suffix}")
        try:
            encode = unit.codec.encode(original, unit.caption, unit.quality, partial, unit.threads)
            decoded, decode = unit.codec.decode(partial, unit.quality, unit.threads)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    if decoded.shape != original.shape or decoded.dtype != np.uint8:
        raise InvalidInput(f"decoded to {decoded.shape} {decoded.dtype}, which was {original.shape} uint8")
    floats: np.ndarray | None = None
    if isinstance(unit.codec, TacitCodec) and not AUTHORS.keys().isdisjoint(unit.metrics):
        floats = unit.codec.unclamped(target, unit.quality, unit.threads)
    metrics, notes = dict(earlier.get("metrics", {})), dict(earlier.get("notes", {}))
    for name, protocol in unit.metrics.items():
        if earlier.get("protocols", {}).get(name) == protocol:
            continue
        if name not in AUTHORS:
            metrics[name], notes[name] = _value(_metric(name), original, decoded, unit.item.caption)
        elif floats is not None:
            metrics[name], notes[name] = _value(_metric(name), original, floats, target)
        else:
            metrics[name], notes[name] = None, "only of tacit's models"
    return {
        "key": unit.key,
        "image": unit.item.name,
        "codec": unit.codec.name,
        "quality": unit.quality,
        "width": width,
        "height": height,
        "bytes": target.stat().st_size,
        "encode": _kept(encode),
        "decode": _kept(decode),
        "metrics": metrics,
        "notes": {name: text for name, text in notes.items() if text},
        "protocols": {**earlier.get("protocols", {}), **unit.metrics},
    }


def _kept(cost: Cost) -> list[float | int | None]:
    return [round(cost.seconds, 5), cost.memory, None if cost.cpu is None else round(cost.cpu, 5)]


def _value(metric: Callable[..., float], *given: Any) -> tuple[float | None, str]:
    """A metric's finite value, to seven digits, or None and why."""
    try:
        value = float(f"{metric(*given):.7g}")
    except InvalidInput as error:  # too small for this metric, or no caption
        return None, str(error)
    if math.isfinite(value):
        return value, ""
    return None, "infinite: no pixel differs" if value > 0 else f"its value is {value}"


@lru_cache(maxsize=32)
def _metric(name: str) -> Any:
    return load_authors_metric(name) if name in AUTHORS else load_metric(name)


@lru_cache(maxsize=2)
def load_pixels(path: Path) -> np.ndarray:
    """An image as every codec gets it: [H, W, 3] uint8, upright, grey as three equal channels, alpha left out."""
    import warnings

    from tacit.image import ConversionWarning, load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        pixels = load(path).pixels
    pixels = pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2)
    pixels.flags.writeable = False  # it is kept, and nobody may change it for the next
    return pixels


# -- whole sets -------------------------------------------------------------------------------------------------------


def _sets(
    units: Sequence[Unit],
    rows: Sequence[Row],
    metrics: Sequence[Metric],
    journal: Journal,
    progress: Progress,
    failures: list[Failure],
) -> list[SetRow]:
    """Metrics of whole sets, from the files."""
    if not metrics:
        return []
    there = {(row.dataset, row.image, row.codec, row.quality) for row in rows}
    groups: dict[tuple[str, str, Quality], list[Unit]] = {}
    for unit in units:
        if (unit.dataset, unit.item.name, unit.codec.name, unit.quality) in there:
            groups.setdefault((unit.dataset, unit.codec.name, unit.quality), []).append(unit)
    found = []
    for (dataset, codec, quality), members in groups.items():
        for metric in metrics:
            key = _digest([metric.name, metric.protocol, [unit.key for unit in members]])
            if key not in journal.entries:
                try:
                    value = _set_value(metric, members)
                except Exception as error:  # a codec's library may raise whatever it likes
                    _check_space(error)
                    kind = "" if isinstance(error, TacitError) else f"{type(error).__name__}: "
                    reason = f"{metric.name}: {kind}{' '.join(str(error).split())[:300]}"
                    failures.append(Failure(dataset, "", codec, quality, reason))
                    progress.say(_text(failures[-1]))
                    continue
                journal.append({"key": key, "metric": metric.name, "codec": codec, "quality": quality, "value": value})
            found.append(SetRow(dataset, codec, quality, metric.name, journal.entries[key]["value"]))
    return found


def _set_value(metric: Metric, units: Sequence[Unit]) -> float:
    collecting: Any = load_metric(metric.name)
    for unit in units:
        decoded, _ = unit.codec.decode(unit.folder / unit.file, unit.quality, unit.threads)
        collecting.update(load_pixels(unit.item.path), decoded)
    value = float(f"{collecting.compute():.7g}")
    if not math.isfinite(value):
        raise InvalidInput(f"its value is {value}")
    return value
