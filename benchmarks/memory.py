"""Watch the memory of one process over many encodings and decodings: `python -m benchmarks.memory --count 10000`.

Images are small and of several sizes, modes and qualities, with and without captions. After a tenth of the images the
memory is at home; from then on it must be flat. The exit status is 1 if it grows by more than `--limit` bytes an image.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tacit.codec import Codec

SIZES = ((64, 48), (97, 33), (160, 128), (16, 16))
MODES = ("RGB", "L", "RGBA")
CAPTIONS = (None, "a red boat on a lake")
POINTS = 40  # at which the memory is read


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Encode and decode, and print the memory and its growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many images")
    parser.add_argument("--model", default="tacit-s", help="a model's name or a weights file")
    parser.add_argument("--limit", type=float, default=500.0, help="bytes an image by which memory may grow")
    arguments = parser.parse_args()
    codec = Codec(arguments.model, threads=1)
    rng = np.random.default_rng(0)
    every = max(1, arguments.count // POINTS)
    points: list[tuple[int, int]] = []
    kinds = itertools.cycle(itertools.product(SIZES, MODES, CAPTIONS))
    for number, ((width, height), mode, caption) in zip(range(1, arguments.count + 1), kinds, strict=False):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height)).convert(mode)
        data = codec.encode(image, caption, quality=float(rng.integers(0, 101)), store_caption=caption is not None)
        assert codec.decode(data).size == (width, height)
        if number % every == 0:
            points.append((number, resident()))
            print(f"{number:>7,} images  {resident() / 1e6:8.1f} MB", flush=True)
    later = np.array([point for point in points if point[0] > arguments.count / 10], dtype=float)
    growth, _ = np.polyfit(later[:, 0], later[:, 1], 1)
    print(f"growth after the first tenth: {growth:+.0f} bytes an image")
    sys.exit(int(growth > arguments.limit))


if __name__ == "__main__":
    main()
