"""Measure the service under load: `python -m benchmarks.web [--seconds N] [--image FILE]`; four minutes by default.

The benchmark starts `tacit serve` on loopback with its defaults, and requests encodings of one image of 768x512 pixels
(that of benchmarks/speed.py, as a JPEG) from 1, 4 and 16 clients at a time; each sends its next request as soon as
the last is answered. Then 4 clients run for six times as long, while memory is read every second and a line is fitted
to it. Then 4 clients run once more while workers are killed. Last, without the service, it measures what encoding
several images together would gain, and how long an image of one megapixel takes for the page. The results are written
to results/web.json. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import re
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from benchmarks.environment import benchmark_image, describe_machine
from tacit import machine
from tacit.errors import TacitError
from tacit.evaluation.readable_json import dumps
from tacit.web.client import Client

ROOT = Path(__file__).resolve().parent.parent

CLIENTS = (1, 4, 16)
LONG = 6  # times the seconds of the others
KILLS = 3
BATCHES = (1, 4, 8)
SIZES = ((256, 256), (768, 512))
MEGAPIXEL = (1248, 832)


def main() -> None:
    """Measure, and write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a photograph; it is cut to 768x512 if it is larger")
    parser.add_argument("--seconds", type=float, default=20, help="of each number of clients")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "web.json")
    arguments = parser.parse_args()
    machine.let_threads_sleep()  # as in the workers
    photo, origin = benchmark_image(arguments.image)
    upload = as_jpeg(photo)
    with service() as (url, process):
        hammer(url, upload, 4, 2)  # both workers are warm
        memory = [resident(process.pid)]
        phases = []
        for clients in CLIENTS:
            phases.append(hammer(url, upload, clients, arguments.seconds))
            memory.append(resident(process.pid))
            print(phases[-1], f"{memory[-1]:.0f} MB", flush=True)
        long_run = watched(url, process.pid, upload, LONG * arguments.seconds)
        print(long_run, flush=True)
        killed = hammer(url, upload, 4, arguments.seconds, lambda: kill_some(process.pid, arguments.seconds))
        restarts = int(counted(url, "tacit_worker_restarts_total"))
        print(killed, f"{restarts} restarts", flush=True)

    from tacit import weights

    result = {
        "command": shlex.join(["python", "-m", "benchmarks.web", *sys.argv[1:]]),
        "photograph": origin,
        "upload_bytes": len(upload),
        "seconds": arguments.seconds,
        "weights_hash": weights.describe(weights.locate(weights.DEFAULT)).decode_hash.hex(),
        **describe_machine(),
        "load_average": round(os.getloadavg()[0], 2),
        "clients": phases,
        "resident_megabytes": [round(size) for size in memory],
        "long_run": long_run,
        "workers_killed": {**killed, "restarts": restarts},
        "batches": batches(photo),
        "megapixel": megapixel(photo),
    }
    print(json.dumps({name: result[name] for name in ("batches", "megapixel")}, indent=1))
    arguments.output.write_text(dumps(result))


def as_jpeg(photo: Image.Image) -> bytes:
    """Return an image as the JPEG file that a camera would write."""
    stream = io.BytesIO()
    photo.save(stream, "JPEG", quality=92)
    return stream.getvalue()


@contextmanager
def service() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `tacit serve` with its defaults on a free port."""
    command = [sys.executable, "-m", "tacit", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.terminate()


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")  # each thread has its own
    return [int(child) for found in lists for child in found.read_text().split()]


def counted(url: str, name: str) -> float:
    """Return one of the service's metrics."""
    found = re.search(rf"^{name} (\S+)", httpx.get(f"{url}/metrics", timeout=60).text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def resident(pid: int) -> float:
    """Return the megabytes that the server and its workers hold together."""
    found = 0
    for one in (pid, *children(pid)):
        status = Path(f"/proc/{one}/status").read_text()
        found += int(re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)[1])  # type: ignore[index]
    return found / 1024


def watched(url: str, pid: int, upload: bytes, seconds: float) -> dict[str, Any]:
    """Run four clients and record the service's memory.

    The results that the service keeps for a while, as many as `--cache` allows, are subtracted, since they are meant to
    grow. `slope` is that of a straight line through the rest by least squares, in megabytes per minute, with its
    standard error.
    """
    times: list[float] = []
    sizes: list[float] = []
    begun = time.perf_counter()

    def look() -> None:
        while time.perf_counter() < begun + seconds:
            times.append((time.perf_counter() - begun) / 60)
            sizes.append(resident(pid) - counted(url, "tacit_results_bytes") / 2**20)
            time.sleep(1)

    phase = hammer(url, upload, 4, seconds, look)
    slope, error = line(times, sizes)
    return {
        **phase,
        "seconds": seconds,
        "samples": len(sizes),
        "first_megabytes": round(sizes[0]),
        "last_megabytes": round(sizes[-1]),
        "slope": float(f"{slope:.3g}"),
        "slope_error": float(f"{error:.2g}"),
    }


def line(x: list[float], y: list[float]) -> tuple[float, float]:
    """Return the slope of a straight line through points by least squares, and its standard error."""
    slope, start = statistics.linear_regression(x, y)
    rest = sum((b - start - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    middle = statistics.fmean(x)
    return slope, math.sqrt(rest / max(1, len(x) - 2) / sum((a - middle) ** 2 for a in x))


def kill_some(pid: int, seconds: float) -> None:
    """Kill a worker every now and then."""
    for _ in range(KILLS):
        time.sleep(seconds / (KILLS + 1))
        workers = [child for child in children(pid) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        os.kill(workers[0], signal.SIGKILL)


def hammer(
    url: str, upload: bytes, clients: int, seconds: float, meanwhile: Callable[[], None] | None = None
) -> dict[str, Any]:
    """Send requests from several clients for some seconds, each of another quality, so that no answer is cached."""
    times: list[float] = []
    lost: list[str] = []
    begun = time.perf_counter()

    def ask(number: int) -> None:
        with Client(url, attempts=1000) as client:
            turn = 0
            while time.perf_counter() < begun + seconds:
                quality = 40 + (number * 997 + turn * 31) % 2000 / 100
                turn += 1
                start = time.perf_counter()
                try:
                    client.encode(upload, "a group of motocross riders on a dirt hill", quality=quality)
                    times.append(time.perf_counter() - start)
                except TacitError as error:
                    lost.append(str(error))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    if meanwhile is not None:
        threads.append(threading.Thread(target=meanwhile))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    parts = statistics.quantiles(times, n=100, method="inclusive") if len(times) > 1 else [times[0]] * 99
    return {
        "clients": clients,
        "requests": len(times),
        "lost": len(lost),
        "per_second": float(f"{len(times) / took:.4g}"),
        **{f"p{part}_ms": round(1000 * parts[part - 1]) for part in (50, 95, 99)},
    }


def batches(photo: Image.Image) -> list[dict[str, Any]]:
    """Return the images per second of one thread, encoded one after the other and several together.

    One thread is what a job has while all workers are busy.
    """
    from tacit.codec import Codec

    codec = Codec(threads=1)
    found = []
    for size in SIZES:
        image = photo.resize(size, Image.Resampling.LANCZOS)
        for count in BATCHES:

            def work(image: Image.Image = image, count: int = count) -> object:
                return codec.encode(image) if count == 1 else codec.encode_batch([image] * count)

            rate = count / median(work)
            found.append({"width": size[0], "height": size[1], "batch": count, "per_second": float(f"{rate:.4g}")})
    return found


def megapixel(photo: Image.Image) -> dict[str, float]:
    """Return the milliseconds that a worker takes for the page's requests for one image.

    That is the image seen for the first time, and again at another quality, each with the decoded image and its PSNR.
    """
    from tacit.codec import Codec

    codec = Codec()
    upload = as_jpeg(photo.resize(MEGAPIXEL, Image.Resampling.LANCZOS))
    prepared = codec.prepare(upload)
    prepared.encode(50)
    return {
        "width": MEGAPIXEL[0],
        "height": MEGAPIXEL[1],
        "first_ms": round(1000 * median(lambda: codec.prepare(upload).encode(50, reconstruct=True))),
        "again_ms": round(1000 * median(lambda: prepared.encode(55, reconstruct=True))),
    }


def median(work: Callable[[], object], runs: int = 5) -> float:
    """Return the median time in seconds, after one run that does not count."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
