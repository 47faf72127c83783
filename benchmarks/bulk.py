"""Measure speed, memory and cost of `tacit bulk`.

    python -m benchmarks.bulk [--minutes 3] [--images 400] [--watch-only]

The data set consists of shards of scikit-image's photographs, cut to 256x256 pixels as image-text data sets often are,
with captions. It is compressed with one worker and with two, of one thread each, on a local Ray. Then shards are
compressed for --minutes and verified by reading them back, while the memory of the driver, of the worker and of Ray's
own processes is read every second; one image of each of these shards is truncated. Last, the manifest of a billion
images is read, as a driver would read it.

The results are results/bulk.json, from which docs/bulk.md takes its tables and its plan. The benchmark takes two
minutes beside --minutes, and needs a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import statistics
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the workers, which inherit it
os.environ.setdefault("RAY_worker_niceness", "0")  # else they yield to everything else on the machine

import numpy as np

from benchmarks.environment import describe_machine
from tacit import weights
from tacit.bulk import BulkJob, Cluster, Interrupted, RunSummary, run
from tacit.bulk.manifest import FAILURES, MANIFEST, Manifest
from tacit.bulk.store import ShardStore
from tacit.evaluation.readable_json import dumps

ROOT = Path(__file__).resolve().parent.parent
SIDE = 256
PER_SHARD = 50
WATCHED_PER_SHARD = 10  # small ones, so that the driver has many entries to hold
WATCHED = ("driver", "worker", "ray")  # whose memory
VCPU_HOUR = 0.04  # dollars; a round figure for one virtual core of a rented machine
GIGABYTE_MONTH = 0.023  # dollars; a round figure for object storage
MILLION, BILLION = 1_000_000, 1_000_000_000
PLANNED_PER_SHARD = 10_000  # images, as img2dataset writes them
PLANNED_SHARDS = BILLION // PLANNED_PER_SHARD
PLANNED_CORES = 1000
PLANNED_FAILURES = 0.01


def main() -> None:
    """Measure, and write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400, help="of the runs with one and two workers")
    parser.add_argument("--minutes", type=float, default=3.0, help="of the run that is watched")
    parser.add_argument("--watch-only", action="store_true", help="keep the file's other figures")
    parser.add_argument("--vcpu-hour", type=float, default=VCPU_HOUR, help="dollars")
    parser.add_argument("--gigabyte-month", type=float, default=GIGABYTE_MONTH, help="dollars")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bulk.json")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    path: Path = arguments.out
    if arguments.watch_only:
        result = json.loads(path.read_text())
        with tempfile.TemporaryDirectory() as name:
            result["watched"] = watch(Path(name), 60 * arguments.minutes)
            result["driver"] = read_manifest(Path(name) / "planned", Path(name) / "watched")
        path.write_text(dumps(result))
        print(document(result), plan(result), sep="\n")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shards(folder / "in", max(2, arguments.images // PER_SHARD), PER_SHARD)
        speeds = {str(workers): speed(folder, workers) for workers in (1, 2)}
        watched = watch(folder, 60 * arguments.minutes)
        driver = read_manifest(folder / "planned", folder / "watched")
    result = {
        "command": f"python -m benchmarks.bulk --images {arguments.images} --minutes {arguments.minutes:g}",
        "weights_hash": weights.describe(weights.locate(weights.DEFAULT)).decode_hash.hex(),
        **describe_machine(),
        "load_average": round(load, 2),
        "side": SIDE,
        "images_per_shard": PER_SHARD,
        "workers": speeds,
        "watched": watched,
        "driver": driver,
    }
    result["cost"] = cost(result, arguments.vcpu_hour, arguments.gigabyte_month)
    path.parent.mkdir(exist_ok=True)
    path.write_text(dumps(result))
    print(document(result), plan(result), sep="\n")


def write_shards(folder: Path, count: int, images: int, cut: int = 0) -> None:
    """Write tar shards of different crops, as JPEG of quality 90 with captions; `cut` images of each are truncated."""
    from tacit.demo.samples import SAMPLES, sample_image

    folder.mkdir(parents=True)
    photos = [(s.caption, sample_image(s.name)) for s in SAMPLES]
    number = 0
    for shard in range(count):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for left_whole in range(images - 1, -1, -1):
                caption, photo = photos[number % len(photos)]
                left = number * 37 % (photo.width - SIDE + 1)
                top = number * 23 % (photo.height - SIDE + 1)
                stream = io.BytesIO()
                photo.crop((left, top, left + SIDE, top + SIDE)).save(stream, "JPEG", quality=90)
                jpeg = stream.getvalue() if left_whole >= cut else stream.getvalue()[:1000]
                for suffix, data in (("jpg", jpeg), ("txt", caption.encode())):
                    about = tarfile.TarInfo(f"{number:09}.{suffix}")
                    about.size = len(data)
                    tar.addfile(about, io.BytesIO(data))
                number += 1


def speed(folder: Path, workers: int) -> dict[str, Any]:
    """Run a whole job and measure images per second.

    The clock starts when the first shard is done, since workers start and load their weights until then.
    """
    out = folder / f"out-{workers}"
    ended: list[tuple[float, int]] = []
    outcome = run(
        BulkJob(source=str(folder / "in"), destination=str(out)),
        Cluster(workers=(workers, workers)),
        on_progress=lambda name, now: ended.append((time.perf_counter(), now.images)),
    )
    rows = [json.loads(line) for line in (out / "_tacit" / "manifest.jsonl").read_text().splitlines()]
    (first, before), (last, after) = ended[0], ended[-1]
    now = outcome.now
    whole = sum(seconds for name, seconds in now.spent.items() if name != "wall")
    shutil.rmtree(out)
    return {
        "images": now.images,
        "images_per_second": round((after - before) / (last - first), 3),
        "images_per_second_with_start": round(outcome.speed or 0, 3),
        "seconds": round(outcome.seconds, 1),
        "megapixels": round(now.pixels / 1e6, 2),
        "bytes_in": now.bytes_in,
        "bytes_out": now.bytes_out,
        "psnr": round(now.psnr or 0, 2),
        "worker_memory": now.memory,
        "entry_bytes": round(statistics.mean(len(json.dumps(row)) for row in rows)),
        "spent": {name: round(seconds / whole, 4) for name, seconds in sorted(now.spent.items()) if name != "wall"},
    }


def watch(folder: Path, seconds: float) -> dict[str, Any]:
    """Compress the same shards under more names than can be done, and record memory every second.

    The record starts when the first shard is done.
    """
    write_shards(folder / "few", 8, WATCHED_PER_SHARD + 1, cut=1)
    source = folder / "many"
    source.mkdir()
    shards = sorted((folder / "few").glob("*.tar"))
    for number in range(max(100, round(seconds * 10))):
        os.link(shards[number % len(shards)], source / f"{number:06}.tar")
    ended: list[RunSummary] = []
    points: list[tuple[float, int, tuple[int, int, int]]] = []
    over = threading.Event()

    def look() -> None:
        while not ended and not over.wait(0.1):
            pass
        begun = time.perf_counter()
        while not over.is_set():
            points.append((round(time.perf_counter() - begun, 1), ended[-1].images, resident()))
            over.wait(1)

    def stop_in_time(name: str, now: RunSummary) -> None:
        ended.append(now)
        if points and points[-1][0] > seconds:
            over.set()  # what ends now is not looked at
            raise KeyboardInterrupt

    looking = threading.Thread(target=look)
    looking.start()
    try:
        job = BulkJob(source=str(source), destination=str(folder / "watched"), verify=True)
        now = run(job, Cluster(), max_failures=1, on_progress=stop_in_time).now
    except Interrupted as interrupted:
        now = interrupted.outcome.now
    finally:
        over.set()
        looking.join()
    return {
        "command": f"python -m benchmarks.bulk --minutes {seconds / 60:g}",
        "load_average": round(os.getloadavg()[0], 2),
        "seconds": points[-1][0],
        "images": now.images,
        "failed": now.failed,
        "failure_bytes": round((folder / "watched" / FAILURES).stat().st_size / now.failed),
        "shards": now.shards,
        "verified": now.verified,
        "verify_per_code": round(now.spent["verify"] / now.spent["code"], 3),
        "memory": {who: trend([p[0] for p in points], [p[2][i] for p in points]) for i, who in enumerate(WATCHED)},
        "points": [[passed, images, *held] for passed, images, held in points[:: max(1, len(points) // 60)]],
    }


def read_manifest(folder: Path, like: Path) -> dict[str, float]:
    """Measure the time and memory that a driver needs to read the manifest of a billion images.

    The manifest has as many entries as a billion images are shards; each is a copy of the first entry of the run
    `like`. The memory is the largest growth of this process.
    """
    entry = json.loads((like / MANIFEST).read_text().splitlines()[0])
    store = ShardStore(str(folder))
    with store.create(MANIFEST) as part:
        for number in range(PLANNED_SHARDS):
            part.stream.write(json.dumps({**entry, "name": f"{number:06}"}).encode() + b"\n")
    before, begun = _most(), time.perf_counter()
    held = Manifest(store, {})
    seconds = time.perf_counter() - begun
    assert len(held.entries) == PLANNED_SHARDS
    return {
        "entries": PLANNED_SHARDS,
        "manifest_bytes": part.written.bytes,
        "seconds": round(seconds, 1),
        "memory": _most() - before,
    }


def _most() -> int:
    """Return the most bytes that this process has held."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def resident() -> tuple[int, int, int]:
    """Return the bytes that this process, its workers and Ray's own processes hold, as in WATCHED.

    Memory that processes share is counted for each of them.
    """
    held = dict.fromkeys(WATCHED, 0)
    for pid in _with_descendants(os.getpid()):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        who = "driver" if pid == os.getpid() else "worker" if b"Worker" in title else "ray"
        held[who] += sum(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))
    return held["driver"], held["worker"], held["ray"]


def _with_descendants(pid: int) -> Iterator[int]:
    yield pid
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = listed.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _with_descendants(int(child))


def trend(seconds: Sequence[float], held: Sequence[int]) -> dict[str, float]:
    """Summarise a record of bytes: the maxima of its first and last third, and a slope in bytes per minute.

    The slope is that of a straight line through the last two thirds, with its standard error.
    """
    third = max(1, len(held) // 3)
    minutes, some = np.array(seconds[third:]) / 60, np.array(held[third:], dtype=float)
    minutes -= minutes.mean()
    slope = float(minutes @ some / (minutes @ minutes))
    left = some - some.mean() - slope * minutes
    error = float(np.sqrt(left @ left / (len(some) - 2) / (minutes @ minutes)))
    return {
        "first_third": max(held[:third]),
        "last_third": max(held[-third:]),
        "slope": round(slope),
        "slope_error": round(error),
    }


def cost(result: dict[str, Any], vcpu_hour: float, gigabyte_month: float) -> dict[str, float]:
    """Compute the cost of a million images step by step."""
    one = result["workers"]["1"]
    hours = MILLION / one["images_per_second"] / 3600
    before, after = (MILLION * one[name] / one["images"] / 1e9 for name in ("bytes_in", "bytes_out"))
    return {
        "vcpu_hour": vcpu_hour,
        "gigabyte_month": gigabyte_month,
        "core_hours": round(hours, 1),
        "dollars": round(hours * vcpu_hour, 2),
        "gigabytes_before": round(before, 2),
        "gigabytes_after": round(after, 2),
        "saved_a_month": round((before - after) * gigabyte_month, 3),
    }


def document(result: dict[str, Any]) -> str:
    """Return the block of docs/bulk.md with the measured figures."""
    one, two = result["workers"]["1"], result["workers"]["2"]
    money = result["cost"]
    scaling = two["images_per_second"] / one["images_per_second"]
    lines = [
        f"| {SIDE}x{SIDE} pixels, JPEG of quality 90, with captions; quality 50 | 1 worker | 2 workers |",
        "|---|---:|---:|",
        *(
            f"| {title} | {left} | {right} |"
            for (title, left), (_, right) in zip(_column(one), _column(two), strict=True)
        ),
        "",
        f"Two workers are {scaling:.2f} times as fast as one.",
        "",
        _watched(result),
        (
            f"A million such images: 1,000,000 / {one['images_per_second']:.2f} images a second / 3600 = "
            f"**{money['core_hours']:,.0f} core hours**; at ${money['vcpu_hour']:g} for the hour of a core (an "
            f"assumption) **${money['dollars']:,.2f}**. They go from {money['gigabytes_before']:,.1f} GB to "
            f"{money['gigabytes_after']:,.1f} GB, which at ${money['gigabyte_month']:g} for a gigabyte and month "
            f"(another) saves ${money['saved_a_month']:,.2f} a month. Larger images cost by their pixels: these are "
            f"{one['megapixels'] / one['images']:.3f} megapixels each."
        ),
        "",
        (
            f"{result['machine']['processor']}, {result['machine']['cores']} cores, one thread a worker, torch "
            f"{result['machine']['torch']}; load of the machine before: {result['load_average']}; weights "
            f"{result['weights_hash']}; `{result['command']}`; [results/bulk.json](../results/bulk.json)."
        ),
    ]
    return "\n".join(lines) + "\n"


def _column(run: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the titles and figures of a run."""
    spent = run["spent"]
    return [
        ("images a second, once the workers have started", f"{run['images_per_second']:.2f}"),
        ("and with their start", f"{run['images_per_second_with_start']:.2f}"),
        ("images", f"{run['images']:,}"),
        ("ratio", f"{run['bytes_in'] / run['bytes_out']:.2f}"),
        ("PSNR (dB)", f"{run['psnr']:.2f}"),
        ("most memory of a worker (MB)", f"{run['worker_memory'] / 1e6:.0f}"),
        ("time: code", f"{spent['code']:.1%}"),
        ("time: read and load", f"{spent['read'] + spent['load']:.1%}"),
        ("time: write", f"{spent['write']:.1%}"),
    ]


def _watched(result: dict[str, Any]) -> str:
    """Return the paragraph about the long run, or nothing where there was none."""
    if (watched := result.get("watched")) is None:
        return "Memory over a long run is not measured yet.\n"
    titles = dict(zip(WATCHED, ("driver", "worker", "Ray's own processes"), strict=True))
    lines = [
        (
            f"For {watched['seconds']:.0f} s (`{watched['command']}`, load {watched['load_average']}) one worker did "
            f"{watched['images']:,} images in {watched['shards']:,} shards and verified them, which took "
            f"{watched['verify_per_code']:.2f} of the time of coding them. Resident memory, looked at each second:"
        ),
        "",
        "| | most in the first third | most in the last third | slope of the last two thirds, MB a minute |",
        "|---|---:|---:|---:|",
    ]
    for who, title in titles.items():
        held = watched["memory"][who]
        lines.append(
            f"| {title} | {held['first_third'] / 1e6:.0f} MB | {held['last_third'] / 1e6:.0f} MB | "
            f"{held['slope'] / 1e6:+.2f} ± {held['slope_error'] / 1e6:.2f} |"
        )
    return "\n".join(lines) + "\n"


def plan(result: dict[str, Any]) -> str:
    """Return the plan for a billion images in docs/bulk.md, computed step by step from what was measured."""
    one, two, money = result["workers"]["1"], result["workers"]["2"], result["cost"]
    speed = two["images_per_second"] / 2  # of a core, where all are at work
    hours, of_shard = BILLION / speed / 3600, PLANNED_PER_SHARD / speed / 3600
    before, after = (one[name] / one["images"] for name in ("bytes_in", "bytes_out"))
    entry, bad = one["entry_bytes"], round(PLANNED_FAILURES * BILLION)
    rows = [
        ("shards", f"{BILLION:,} images / {PLANNED_PER_SHARD:,} in a shard", f"{PLANNED_SHARDS:,}"),
        (
            "core hours",
            f"{BILLION:,} / ({two['images_per_second']:.2f} images a second / 2 cores, both at work) / 3600",
            f"{hours:,.0f}",
        ),
        (
            "dollars",
            f"{hours:,.0f} x ${money['vcpu_hour']:g} an hour (an assumption)",
            f"{hours * money['vcpu_hour']:,.0f}",
        ),
        (
            f"days on {PLANNED_CORES:,} cores",
            f"{hours:,.0f} / {PLANNED_CORES:,} / 24",
            f"{hours / PLANNED_CORES / 24:.1f}",
        ),
        (
            "core hours of a shard",
            f"{PLANNED_PER_SHARD:,} / ({two['images_per_second']:.2f} / 2) / 3600",
            f"{of_shard:.1f}",
        ),
        ("core hours that a lost worker costs", f"{of_shard:.1f} / 2, on average", f"{of_shard / 2:.1f}"),
        ("terabytes before", f"{before:,.0f} bytes an image x {BILLION:,}", f"{before * BILLION / 1e12:.1f}"),
        ("terabytes after", f"{after:,.0f} bytes an image x {BILLION:,}", f"{after * BILLION / 1e12:.1f}"),
        (
            "megabytes of a shard's images",
            f"{after:,.0f} bytes x {PLANNED_PER_SHARD:,}",
            f"{after * PLANNED_PER_SHARD / 1e6:.0f}",
        ),
        (
            "megabytes of the manifest",
            f"{entry:,} bytes an entry x {PLANNED_SHARDS:,}",
            f"{entry * PLANNED_SHARDS / 1e6:.0f}",
        ),
    ]
    if (driver := result.get("driver")) is not None:
        said = f"measured: {driver['entries']:,} copies of an entry, read in {driver['seconds']:.0f} s"
        rows.append(("megabytes that a driver holds for it, at most", said, f"{driver['memory'] / 1e6:,.0f}"))
    if (size := result.get("watched", {}).get("failure_bytes")) is not None:
        said = f"{BILLION:,} x {PLANNED_FAILURES:.0%} (an assumption) x {size} bytes a line"
        rows.append(("gigabytes of failures.jsonl", said, f"{bad * size / 1e9:.1f}"))
    lines = ["| a billion images | | |", "|---|---|---:|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join([*lines, "", "Measured figures are those of [the table above](#what-it-costs)."]) + "\n"


if __name__ == "__main__":
    main()
