"""Watch the memory of one process over many encodings and decodings.

    python -m benchmarks.memory [--count 10000]

Images are small and of several sizes, modes and qualities, with and without captions. After a tenth of the images the
memory is at home; from then on it must be flat. The exit status is 1 if it grows by more than `--limit` bytes an image.
The results are written to results/memory.json. 10,000 images take about ten minutes of one core, and other programs may
run meanwhile, since memory does not depend on time.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.environment import describe_machine
from tacit import weights
from tacit.codec import Codec
from tacit.evaluation.readable_json import dumps

ROOT = Path(__file__).resolve().parent.parent
SIZES = ((64, 48), (97, 33), (160, 128), (16, 16))
MODES = ("RGB", "L", "RGBA")
CAPTIONS = (None, "a red boat on a lake")
POINTS = 40  # at which the memory is read


def main() -> int:
    """Encode and decode, print the memory and its growth, and write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="how many images")
    parser.add_argument("--model", default="tacit-s", help="a model's name or a weights file")
    parser.add_argument("--limit", type=float, default=500.0, help="bytes an image by which memory may grow")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "memory.json", help="the file to write")
    arguments = parser.parse_args()
    started = time.process_time()
    codec = Codec(arguments.model, threads=1)
    points = measure(codec, arguments.count)
    growth = growth_of(points)
    print(f"growth after the first tenth: {growth:+.0f} bytes an image")
    result = {
        "command": f"python -m benchmarks.memory --count {arguments.count}",
        "count": arguments.count,
        "growth": round(growth, 1),
        "points": [{"images": images, "bytes": size} for images, size in points],
        "processor_seconds": round(time.process_time() - started),
        "weights_hash": weights.describe(weights.locate(arguments.model)).decode_hash.hex(),
        **describe_machine(),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(dumps(result))
    return int(growth > arguments.limit)


def measure(codec: Codec, count: int) -> list[tuple[int, int]]:
    """Encode and decode some images, and return the resident memory in bytes after as many of them."""
    rng = np.random.default_rng(0)
    every = max(1, count // POINTS)
    points: list[tuple[int, int]] = []
    kinds = itertools.cycle(itertools.product(SIZES, MODES, CAPTIONS))
    for number, ((width, height), mode, caption) in zip(range(1, count + 1), kinds, strict=False):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height)).convert(mode)
        data = codec.encode(image, caption, quality=float(rng.integers(0, 101)), store_caption=caption is not None)
        if codec.decode(data).size != (width, height):
            raise AssertionError("the decoded image has another size")
        if number % every == 0:
            points.append((number, resident()))
            print(f"{number:>7,} images  {points[-1][1] / 1e6:8.1f} MB", flush=True)
    return points


def growth_of(points: Sequence[tuple[int, int]]) -> float:
    """Return by how many bytes an image memory grows after the first tenth of the images, by least squares."""
    later = np.array([point for point in points if point[0] > points[-1][0] / 10], dtype=float)
    return float(np.polyfit(later[:, 0], later[:, 1], 1)[0])


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
