"""Measure what thumbnails cost and how near they are to the whole image shrunk.

    python -m benchmarks.thumbnails [FOLDER]

The images are in the folder kodak of $TACIT_DATA, or in FOLDER. Each is encoded at several qualities and decoded whole,
and with `max_side` for each side. A whole image that is shrunk as Pillow shrinks it is the reference: fidelity is the
PSNR and the SSIMULACRA 2 against it. Cost is processor time, of one thread, as a part of that of the whole decoding
with its shrinking, both measured in turn in this process. The memory is what a process takes at its highest for a
thumbnail of a large image, beyond what it had after one of a small image. `--no-times` leaves out both, which take an
idle machine. The results are written to results/thumbnails.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.environment import describe_machine
from tacit import weights
from tacit.codec import Codec
from tacit.evaluation.readable_json import dumps
from tacit.image.psnr import psnr
from tacit.image.ssimulacra2 import ssimulacra2

ROOT = Path(__file__).resolve().parent.parent
QUALITIES = (10.0, 30.0, 50.0, 80.0)
SIDES = (384, 256, 192, 96)
ROUNDS = 3  # of the times, of which the least counts
LARGE = 10_000  # pixels along the sides of a large image

PEAK = """
import re, sys, tacit
from pathlib import Path
def peak():  # ru_maxrss would begin with what the parent had taken
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
tacit.decode(sys.argv[1], max_side=64)
before = peak()
tacit.decode(sys.argv[2], max_side=int(sys.argv[3]) or None)
print((peak() - before) // 1024)
"""


def main() -> int:
    """Measure, and write the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="of images; $TACIT_DATA/kodak if none is named")
    parser.add_argument("--model", action="append", help="a model's name or a weights file; those of the package")
    parser.add_argument("--images", type=int, help="take the first so many")
    parser.add_argument("--no-times", action="store_true", help="leave out what takes an idle machine: times, memory")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "thumbnails.json", help="the file to write")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(os.environ["TACIT_DATA"]) / "kodak"
    paths = sorted(folder.glob("*.png"))[: arguments.images]
    models = arguments.model or list(weights.SHIPPED)
    result: dict[str, Any] = {
        "command": "python -m benchmarks.thumbnails",
        "images": len(paths),
        "models": {str(model): measure(Codec(model, threads=1), paths, not arguments.no_times) for model in models},
    }
    if not arguments.no_times:
        result["large"] = large(Codec(models[0]), paths[0])
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(dumps(result | describe_machine()))
    return 0


def measure(codec: Codec, paths: Sequence[Path], times: bool) -> dict[str, Any]:
    """Return the mean and least fidelity, and the cost, for each quality and side."""
    rows: dict[tuple[float, int], list[dict[str, float]]] = {}
    for path in paths:
        prepared = codec.prepare(path)
        for quality in QUALITIES:
            data = prepared.encode(quality).data
            whole = codec.decode(data)
            for side in SIDES:
                row = compare(_thumbnail(whole, side), codec.decode(data, max_side=side))
                if times:
                    row["share"] = _share(codec, data, side)
                rows.setdefault((quality, side), []).append(row)
            print(
                f"{path.name}  quality {quality:g}  "
                + "  ".join(f"{side}: {rows[quality, side][-1]['psnr']:.2f} dB" for side in SIDES),
                flush=True,
            )
    return {
        "weights_hash": weights.describe(codec.path).decode_hash.hex(),
        "points": [
            {"quality": quality, "side": side, **_summary(some)} for (quality, side), some in sorted(rows.items())
        ],
    }


def compare(wanted: Image.Image, found: Image.Image) -> dict[str, float]:
    """Return the fidelity of a thumbnail to the whole image shrunk."""
    return {
        "psnr": psnr(np.asarray(found), np.asarray(wanted)),
        "ssimulacra2": ssimulacra2(np.asarray(found), np.asarray(wanted)),
    }


def _summary(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    summary = {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}
    return summary | {"least_psnr": round(min(row["psnr"] for row in rows), 3)}


def _thumbnail(image: Image.Image, side: int) -> Image.Image:
    small = image.copy()
    small.thumbnail((side, side))
    return small


def _share(codec: Codec, data: bytes, side: int) -> float:
    """Return the processor time of a thumbnail as a part of that of the whole image and its shrinking."""
    whole, small = [], []
    for _ in range(ROUNDS):
        whole.append(_seconds(lambda: _thumbnail(codec.decode(data), side)))
        small.append(_seconds(lambda: codec.decode(data, max_side=side)))
    return min(small) / min(whole)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def large(codec: Codec, path: Path) -> dict[str, Any]:
    """Return the memory that a thumbnail of a large image takes, and the whole image, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("small.tacit", "large.tacit")]
        with Image.open(path) as image:
            files[0].write_bytes(codec.encode(image, quality=50))
            files[1].write_bytes(codec.encode(image.resize((LARGE, LARGE)), quality=50))
        peaks = {}
        for name, side in (("thumbnail_mb", 256), ("whole_mb", 0)):
            command = [sys.executable, "-c", PEAK, *map(str, files), str(side)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peaks[name] = int(done.stdout)
    return {"pixels": LARGE * LARGE, "side": 256, **peaks}


if __name__ == "__main__":
    sys.exit(main())
