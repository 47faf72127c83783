"""Measure what levels of effort gain, and how long they take: `python -m benchmarks.effort [--levels 1,5,9]`.

The images are in the folder kodak of $TACIT_DATA, or in FOLDER. Each is encoded at each level and quality into a real
file, which is decoded; a row of runs/effort.jsonl (or of --rows FILE) holds its bytes, its distortion by what the
weights were trained for, its PSNR, its SSIMULACRA 2 and its seconds. Rows that are there are not measured again, so an
interrupted run continues. The summary goes into results/effort.json (or --out FILE) after each level; --summarise
writes it from the rows alone.

Bits are saved at equal quality: a refined file of quality q is compared with what the same image takes at level 0, by
the curve through its files, where the curve reaches the refined file's distortion (or PSNR, or SSIMULACRA 2). The
distortion of all files on that curve counts as it does at q, since models may weigh its terms by the quality.

`seconds` are by the clock, with --threads threads; `processor_seconds` are those of all threads together, which say
more where other programs run. Reading the image and decoding are in neither.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from benchmarks.environment import describe_machine, find_data
from tacit import image as images
from tacit import weights
from tacit.codec import Codec
from tacit.codec.refinement import SCHEDULES
from tacit.entropy.units import LATENT_STEP
from tacit.errors import InvalidInput
from tacit.evaluation.confidence import MIN_DIFFERENCES, confidence_interval
from tacit.evaluation.metrics.ssimulacra2 import Ssimulacra2
from tacit.evaluation.pchip import Pchip
from tacit.evaluation.readable_json import dumps
from tacit.image.psnr import psnr
from tacit.models.distortion import Distortion

ROOT = Path(__file__).resolve().parent.parent
CURVE = (0, 12, 25, 38, 50, 62, 75, 88, 100)  # qualities of level 0
REFINED = (25, 50, 75)  # those of the others
MEASURES = ("distortion", "psnr", "ssimulacra2")
Row = Mapping[str, Any]


def main() -> int:
    """Measure what is missing, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="of images; $TACIT_DATA/kodak if none is named")
    parser.add_argument("--levels", default=",".join(map(str, SCHEDULES)), help="of effort, beside 0")
    parser.add_argument("--qualities", type=int, nargs="+", choices=REFINED, default=REFINED, help="of refined files")
    parser.add_argument("--weights", default=weights.DEFAULT)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=Path, default=ROOT / "runs" / "effort.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "effort.json")
    parser.add_argument("--summarise", action="store_true", help="measure nothing")
    options = parser.parse_args()
    rows = read_rows(options.rows)
    if not options.summarise:
        torch.set_num_threads(options.threads)
        sources = sorted(path for path in (options.folder or find_data("kodak")).iterdir() if path.suffix == ".png")
        bench = Bench(Codec(options.weights), options.rows, rows)
        for level in (0, *(int(level) for level in options.levels.split(","))):
            for source in sources:
                bench.measure(source, level, options.qualities if level else CURVE)
            write_summary(rows, options.out)
    write_summary(rows, options.out)
    return 0


def read_rows(path: Path) -> list[Row]:
    """Return the rows that a file holds; a last line that was cut off is left out."""
    lines = path.read_text().split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


class Bench:
    """Measures images with one codec, and keeps what it measured.

    Args:
        codec: The codec.
        path: Of the file to which rows are added.
        rows: What the file holds; what is measured is added.
    """

    def __init__(self, codec: Codec, path: Path, rows: list[Row]) -> None:
        self._codec, self._path, self._rows = codec, path, rows
        about = weights.describe(codec.path)
        self._weights = about.decode_hash.hex()
        self._distortion = Distortion.of(about.card)
        self._ssimulacra2 = Ssimulacra2()
        self._done = {identity(row) for row in rows}
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_bytes() if path.is_file() else b""
        if not text.endswith(b"\n"):  # nothing is added to a line that was cut off
            path.write_bytes(text[: text.rfind(b"\n") + 1])

    def measure(self, source: Path, level: int, qualities: Sequence[int]) -> None:
        """Add the rows of an image at a level."""
        raster = images.load(source)
        for quality in qualities:
            steps = SCHEDULES[level].steps if level else 0
            row: dict[str, Any] = {"weights": self._weights, "image": source.name, "level": level, "quality": quality}
            row["steps"] = steps
            if identity(row) in self._done:
                continue
            started, spent = time.perf_counter(), time.process_time()
            data = self._codec.encode(raster, quality=quality, effort=level)
            row |= {"seconds": time.perf_counter() - started, "processor_seconds": time.process_time() - spent}
            decoded = np.asarray(self._codec.decode(data))
            row |= {"pixels": raster.width * raster.height, "bytes": len(data)}
            row |= {"psnr": psnr(decoded, raster.pixels), "ssimulacra2": self._ssimulacra2(raster.pixels, decoded)}
            row["distortion"] = {
                str(at): distortion(self._distortion, raster.pixels, decoded, at)
                for at in ((quality,) if level else REFINED)
            }
            row |= {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
            row["instructions"] = torch.backends.cpu.get_cpu_capability()
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            self._rows.append(row)
            self._done.add(identity(row))
            print(f"{source.name} level {level} quality {quality}: {len(data)} bytes", flush=True)


def distortion(counted: Distortion, original: np.ndarray, decoded: np.ndarray, quality: float) -> float:
    """Return the mean of a distortion as it counts at a quality, over whole squares of 16x16 pixels."""
    height, width = (side // LATENT_STEP * LATENT_STEP for side in original.shape[:2])
    x, x_hat = (
        torch.from_numpy(np.array(one[:height, :width], np.float32)).permute(2, 0, 1)[None] / 255
        for one in (original, decoded)
    )
    with torch.inference_mode():
        unlike, _ = counted(x_hat, x, torch.tensor([float(quality)]))
    return float(unlike.mean())


def identity(row: Row) -> tuple[Any, ...]:
    """Return what two rows of one measurement have in common."""
    return tuple(row[name] for name in ("weights", "image", "level", "quality", "steps"))


def saved(curve: Sequence[Row], row: Row, measure: str) -> float:
    """Return the logarithm of a file's bytes by what level 0 takes at the same value of a measure.

    Args:
        curve: The rows of the image at level 0.
        row: The refined file.
        measure: One of MEASURES.

    Returns:
        Negative where bits are saved; NaN where the curve does not reach the value.
    """

    def quality(of: Row) -> float:
        if measure == "distortion":
            return -10 * math.log10(of["distortion"][str(row["quality"])])
        return float(of[measure])

    points = sorted((quality(of), math.log(of["bytes"])) for of in curve)
    x, y = np.array([point[0] for point in points]), np.array([point[1] for point in points])
    if len(points) < 3 or not (np.diff(x) > 0).all():
        return math.nan
    return math.log(row["bytes"]) - float(Pchip(x, y)(quality(row)))


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Return what each level saves, in per cent with the interval of its mean over the images, and its seconds.

    Rows of weights or schedules other than those of now are left out.

    Raises:
        InvalidInput: There are no rows.
    """
    rows = list(rows)
    if not rows:
        raise InvalidInput("no rows: nothing has been measured")
    now = rows[-1]["weights"]
    steps = {0: 0, **{level: schedule.steps for level, schedule in SCHEDULES.items()}}
    rows = [row for row in rows if row["weights"] == now and row["steps"] == steps[row["level"]]]
    curves: dict[str, list[Row]] = {}
    for row in rows:
        if row["level"] == 0:
            curves.setdefault(row["image"], []).append(row)
    levels = []
    for level in sorted({row["level"] for row in rows} - {0}):
        own = [row for row in rows if row["level"] == level and len(curves.get(row["image"], [])) == len(CURVE)]
        if not own:
            continue
        megapixels = sum(row["pixels"] for row in own) / 1e6
        found: dict[str, Any] = {"level": level, "steps": steps[level], "images": len({row["image"] for row in own})}
        found["files"] = len(own)
        found["qualities"] = sorted({row["quality"] for row in own})
        for measure in MEASURES:
            found[measure] = _saving(
                {image: [row for row in own if row["image"] == image] for image in curves}, curves, measure
            )
        for name in ("seconds", "processor_seconds"):
            found[f"{name}_per_megapixel"] = round(sum(row[name] for row in own) / megapixels, 2)
        levels.append(found)
    plain = [row for row in rows if row["level"] == 0]
    megapixels = sum(row["pixels"] for row in plain) / 1e6
    return {
        "command": "python -m benchmarks.effort",
        "weights_hash": now,
        "instructions": sorted({row["instructions"] for row in rows}),
        "threads": sorted({row["threads"] for row in rows}),
        "load": round(max(row["load"] for row in rows), 1),
        "plain_processor_seconds_per_megapixel": round(sum(row["processor_seconds"] for row in plain) / megapixels, 2),
        "levels": levels,
    }


def _saving(files: Mapping[str, Sequence[Row]], curves: Mapping[str, Sequence[Row]], measure: str) -> dict[str, Any]:
    """Return the mean over images of what files save, in per cent; an image counts with the mean of its files."""
    means = []
    for image, own in files.items():
        logarithms = [saved(curves[image], row, measure) for row in own]
        logarithms = [value for value in logarithms if not math.isnan(value)]
        if logarithms:
            means.append(100 * math.expm1(fmean(logarithms)))
    if not means:
        return {"percent": None, "interval": None, "images": 0}
    interval = None
    if len(means) >= MIN_DIFFERENCES:
        interval = [round(end, 2) for end in confidence_interval(means)]
    return {"percent": round(fmean(means), 2), "interval": interval, "images": len(means)}


def write_summary(rows: Sequence[Row], path: Path) -> None:
    """Write the summary of all rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps({**summarise(rows), **describe_machine()}))


if __name__ == "__main__":
    sys.exit(main())
