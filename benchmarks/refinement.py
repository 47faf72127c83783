"""Compare schedules of refinement: `python -m benchmarks.refinement [FOLDER]`.

Squares from the middle of images in the folder kodak of $TACIT_DATA, or in FOLDER, are encoded at one quality with each
schedule of VARIANTS into real files. What a schedule saves is measured as `benchmarks.effort` measures it: by the curve
through the files that the same square has without refinement. Rows are kept in runs/refinement.jsonl (or --rows FILE),
so an interrupted run continues; the summary goes into results/refinement.json (or --out FILE).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from benchmarks.effort import MEASURES, ROOT, Row, distortion, read_rows, saved
from benchmarks.environment import describe_machine, find_data
from tacit import image as images
from tacit import weights
from tacit.codec import Codec
from tacit.codec.refinement import SCHEDULES, Schedule
from tacit.evaluation.metrics.ssimulacra2 import Ssimulacra2
from tacit.evaluation.readable_json import dumps
from tacit.image.psnr import psnr
from tacit.models.distortion import Distortion

LEVEL = 1  # of effort, whose schedule is replaced by each variant
QUALITY = 45
CURVE = (25, 32, 39, 45, 52, 59)  # qualities without refinement
SIDE = 192  # pixels of a square
IMAGES = 8


@dataclass(frozen=True)
class Variant:
    """A schedule to compare, and how it differs from that of level 5."""

    difference: str
    schedule: Schedule


VARIANTS = (
    Variant("none", Schedule(steps=10)),
    Variant("3 steps", Schedule(steps=3)),
    Variant("24 steps", Schedule(steps=24)),
    Variant("first rate 0.5", Schedule(steps=10, rate=0.5)),
    Variant("first rate 1", Schedule(steps=10, rate=1.0)),
    Variant("distortion counts as in training", Schedule(steps=10, emphasis=1.0)),
    Variant("distortion counts for 1.6", Schedule(steps=10, emphasis=1.6)),
    Variant("integers chosen by 0.7 of the curvature", Schedule(steps=10, rounding=0.7)),
    Variant("integers chosen by 1.3 of the curvature", Schedule(steps=10, rounding=1.3)),
    Variant("hyper-latents stay", Schedule(steps=10, hyper_reach=0.0)),
    Variant("hyper-latents go four times as far", Schedule(steps=10, hyper_reach=0.48)),
)


def main() -> int:
    """Measure what is missing, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="of images; $TACIT_DATA/kodak if none is named")
    parser.add_argument("--weights", default=weights.DEFAULT)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--rows", type=Path, default=ROOT / "runs" / "refinement.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "refinement.json")
    options = parser.parse_args()
    codec = Codec(options.weights, threads=1)
    rows = read_rows(options.rows)
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    sources = sorted(path for path in (options.folder or find_data("kodak")).iterdir() if path.suffix == ".png")
    for source in sources[:: max(1, len(sources) // options.images)][: options.images]:
        pixels = middle(images.load(source).pixels)
        for quality, schedule in [*((q, None) for q in CURVE), *((QUALITY, one.schedule) for one in VARIANTS)]:
            key = identity(codec, source, quality, schedule)
            if any(all(row[name] == key[name] for name in key) for row in rows):
                continue
            rows.append(key | measure(codec, pixels, quality, schedule))
            with options.rows.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(f"{source.name} {quality} {schedule}: {rows[-1]['bytes']} bytes", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(dumps({**summarise(rows), **describe_machine()}))
    return 0


def middle(pixels: np.ndarray) -> np.ndarray:
    """Return the square in the middle."""
    top, left = ((side - SIDE) // 2 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE])


def identity(codec: Codec, source: Path, quality: float, schedule: Schedule | None) -> dict[str, Any]:
    """Return what two rows of one measurement have in common."""
    return {
        "weights": weights.describe(codec.path).decode_hash.hex(),
        "image": source.name,
        "quality": quality,
        "schedule": None if schedule is None else asdict(schedule),
    }


def measure(codec: Codec, pixels: np.ndarray, quality: float, schedule: Schedule | None) -> dict[str, Any]:
    """Return the bytes of a file, and how good its image is."""
    usual = SCHEDULES[LEVEL]
    SCHEDULES[LEVEL] = schedule or usual
    try:
        data = codec.encode(pixels, quality=quality, effort=0 if schedule is None else LEVEL)
    finally:
        SCHEDULES[LEVEL] = usual
    decoded = np.asarray(codec.decode(data))
    counted = Distortion.of(weights.describe(codec.path).card)
    return {
        "bytes": len(data),
        "psnr": psnr(decoded, pixels),
        "ssimulacra2": Ssimulacra2()(pixels, decoded),
        "distortion": {str(QUALITY): distortion(counted, pixels, decoded, QUALITY)},
    }


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what each variant saves, in per cent, as a mean over the images that have all rows."""
    now = rows[-1]["weights"]
    rows = [row for row in rows if row["weights"] == now]
    curves: dict[str, list[Row]] = {}
    for row in rows:
        if row["schedule"] is None:
            curves.setdefault(row["image"], []).append(row)
    variants = []
    for variant in VARIANTS:
        files = [row for row in rows if row["schedule"] == asdict(variant.schedule)]
        files = [row for row in files if len(curves.get(row["image"], ())) == len(CURVE)]
        found: dict[str, Any] = {"difference": variant.difference, "images": len(files)}
        for name in MEASURES:
            savings = [saved(curves[row["image"]], row, name) for row in files]
            savings = [value for value in savings if not np.isnan(value)]
            found[name] = round(100 * float(np.expm1(fmean(savings))), 2) if savings else None
        variants.append(found)
    return {
        "command": "python -m benchmarks.refinement",
        "weights_hash": now,
        "quality": QUALITY,
        "side": SIDE,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "variants": variants,
    }


if __name__ == "__main__":
    sys.exit(main())
