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

A GPU makes the files of many levels in minutes, on a machine that has little else:

    python -m benchmarks.effort kodak --device cuda --make FOLDER --at 0:0,12,25 9:25,50    # there
    python -m benchmarks.effort --files FOLDER                                             # here

The first line encodes images of one shape together, and writes their files with the seconds that they took. The second
decodes and measures these files on the CPU. What levels save is then that of the device with the most files, and of
another where it has none; seconds are given for each device.
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
from tacit.evaluation.bjontegaard import rate_difference
from tacit.evaluation.confidence import MIN_DIFFERENCES, confidence_interval
from tacit.evaluation.metrics.ssimulacra2 import Ssimulacra2
from tacit.evaluation.pchip import Pchip
from tacit.evaluation.readable_json import dumps
from tacit.image import Raster
from tacit.image.psnr import psnr
from tacit.models.distortion import Distortion

ROOT = Path(__file__).resolve().parent.parent
CURVE = (0, 12, 25, 38, 50, 62, 75, 88, 100)  # qualities of level 0
REFINED = (25, 50, 75)  # those of the others
AGAINST = (12, 25, 50, 75, 88)  # those of the highest level that are compared with other codecs
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
    parser.add_argument("--device", default="cpu", help="which encodes; `cuda` with --make alone")
    parser.add_argument("--make", type=Path, metavar="FOLDER", help="write files by the batch, and measure nothing")
    parser.add_argument("--at", nargs="+", default=[], metavar="LEVEL:QUALITY,...", help="what --make makes, in order")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="measure the files that --make has written")
    parser.add_argument("--rows", type=Path, default=ROOT / "runs" / "effort.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "effort.json")
    parser.add_argument("--summarise", action="store_true", help="measure nothing")
    options = parser.parse_args()
    rows = read_rows(options.rows)
    if not options.summarise:
        torch.set_num_threads(options.threads)
        sources = sorted(path for path in (options.folder or find_data("kodak")).iterdir() if path.suffix == ".png")
        if options.make:
            make(Codec(options.weights, device=options.device, precision="fp32"), sources, options.at, options.make)
            return 0
        bench = Bench(Codec(options.weights), options.rows, rows)
        if options.files:
            bench.measure_files(options.files, sources)
            write_summary(rows, options.out)
            return 0
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


def make(codec: Codec, sources: Sequence[Path], plan: Sequence[str], folder: Path) -> None:
    """Write refined files and made.json, which names them and has the seconds of each.

    Args:
        codec: The codec. Its device encodes images of one shape together.
        sources: The images.
        plan: What is made, in this order: `LEVEL:QUALITY,...`.
        folder: Takes the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rasters = {source.stem: images.load(source) for source in sources}
    shapes: dict[tuple[int, int], list[str]] = {}
    for stem, raster in rasters.items():
        shapes.setdefault((raster.width, raster.height), []).append(stem)
    cuda = codec.device.startswith("cuda")
    made: dict[str, Any] = {"device": torch.cuda.get_device_name(codec.device) if cuda else "CPU", "files": {}}
    for level, qualities in (one.split(":") for one in plan):
        for quality in qualities.split(","):
            for stems in shapes.values():
                started = time.perf_counter()
                files = codec.encode_batch([rasters[stem] for stem in stems], quality=float(quality), effort=int(level))
                seconds = (time.perf_counter() - started) / len(stems)
                for stem, data in zip(stems, files, strict=True):
                    name = f"{stem}-{level}-{quality}.tacit"
                    (folder / name).write_bytes(data)
                    made["files"][name] = {
                        "image": stem,
                        "level": int(level),
                        "quality": int(quality),
                        "seconds": seconds,
                        "together": len(stems),
                    }
            (folder / "made.json").write_text(dumps(made))
            print(f"level {level} quality {quality}: {seconds:.2f} s an image", flush=True)


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
            row = self._row(source, level, quality, "CPU")
            if identity(row) in self._done:
                continue
            started, spent = time.perf_counter(), time.process_time()
            data = self._codec.encode(raster, quality=quality, effort=level)
            row |= {"seconds": time.perf_counter() - started, "processor_seconds": time.process_time() - spent}
            row |= {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
            row["instructions"] = torch.backends.cpu.get_cpu_capability()
            self._add(row, raster, data)

    def measure_files(self, folder: Path, sources: Sequence[Path]) -> None:
        """Add the rows of the files that `make` has written.

        Args:
            folder: The files.
            sources: The images that they were made of.
        """
        made = json.loads((folder / "made.json").read_text())
        for source in sources:
            raster = images.load(source)
            for name, about in made["files"].items():
                if about["image"] != source.stem:
                    continue
                row = self._row(source, about["level"], about["quality"], made["device"])
                if identity(row) not in self._done:
                    row |= {"seconds": about["seconds"], "together": about["together"]}
                    self._add(row, raster, (folder / name).read_bytes())

    def _row(self, source: Path, level: int, quality: int, device: str) -> dict[str, Any]:
        """Return what a measurement is known by."""
        steps = SCHEDULES[level].steps if level else 0
        row = {"weights": self._weights, "image": source.name, "level": level, "quality": quality}
        return {**row, "steps": steps, "device": device}

    def _add(self, row: dict[str, Any], raster: Raster, data: bytes) -> None:
        """Decode a file on the CPU, and keep a row of what it is worth."""
        decoded = np.asarray(self._codec.decode(data))
        level, quality = row["level"], row["quality"]
        row |= {"pixels": raster.width * raster.height, "bytes": len(data)}
        row |= {"psnr": psnr(decoded, raster.pixels), "ssimulacra2": self._ssimulacra2(raster.pixels, decoded)}
        row["distortion"] = {
            str(at): distortion(self._distortion, raster.pixels, decoded, at)
            for at in ((quality,) if level else REFINED)
        }
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self._rows.append(row)
        self._done.add(identity(row))
        print(f"{row['image']} level {level} quality {quality}: {len(data)} bytes", flush=True)


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
    return tuple(row[name] for name in ("weights", "image", "level", "quality", "steps", "device"))


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

    Rows of weights or schedules other than those of now are left out. What a level saves is that of the device with the
    most files, and of another where it has none.

    Raises:
        InvalidInput: There are no rows.
    """
    rows = list(rows)
    if not rows:
        raise InvalidInput("no rows: nothing has been measured")
    now = rows[-1]["weights"]
    steps = {0: 0, **{level: schedule.steps for level, schedule in SCHEDULES.items()}}
    rows = [row for row in rows if row["weights"] == now and row["steps"] == steps[row["level"]]]
    devices = sorted({row["device"] for row in rows})
    curves: dict[str, dict[str, list[Row]]] = {device: {} for device in devices}
    for row in rows:
        if row["level"] == 0:
            curves[row["device"]].setdefault(row["image"], []).append(row)
    levels = []
    for level in sorted({row["level"] for row in rows} - {0}):
        of_devices = {
            device: [
                row
                for row in rows
                if (row["level"], row["device"]) == (level, device)
                and row["quality"] in REFINED
                and len(curves[device].get(row["image"], [])) == len(CURVE)
            ]
            for device in devices
        }
        device = max(devices, key=lambda device: len(of_devices[device]))
        own = of_devices[device]
        if not own:
            continue
        files = {_file(row): row for one in devices if one != device for row in of_devices[one]}
        files |= {_file(row): row for row in own}
        found: dict[str, Any] = {"level": level, "steps": steps[level], "device": device}
        found["files_of_others"] = len(files) - len(own)
        found |= _savings(list(files.values()), curves)
        found["seconds"] = {device: _seconds(own) for device, own in of_devices.items() if own}
        for other, some in of_devices.items():
            both = {_file(row) for row in some} & {_file(row) for row in own}
            if other != device and both:
                found["same_files"] = {
                    one: _savings([row for row in of_devices[one] if _file(row) in both], curves)
                    for one in (device, other)
                }
        levels.append(found)
    cpu = [row for row in rows if "threads" in row]
    return {
        "command": "python -m benchmarks.effort",
        "weights_hash": now,
        "instructions": sorted({row["instructions"] for row in cpu}),
        "threads": sorted({row["threads"] for row in cpu}),
        "load": round(max((row["load"] for row in cpu), default=0.0), 1),
        "plain_seconds": {
            device: _seconds(plain)
            for device in devices
            if (plain := [row for row in rows if (row["level"], row["device"]) == (0, device)])
        },
        "levels": levels,
    }


def _file(row: Row) -> tuple[str, int]:
    return row["image"], row["quality"]


def _savings(own: Sequence[Row], curves: Mapping[str, Mapping[str, Sequence[Row]]]) -> dict[str, Any]:
    """Return how many files of how many images and qualities there are, and what they save by each measure.

    Args:
        own: The files.
        curves: Those of level 0, by device and image.
    """
    found: dict[str, Any] = {"images": len({row["image"] for row in own}), "files": len(own)}
    found["qualities"] = sorted({row["quality"] for row in own})
    for measure in MEASURES:
        of_images: dict[str, list[float]] = {}
        for row in own:
            of_images.setdefault(row["image"], []).append(saved(curves[row["device"]][row["image"]], row, measure))
        found[measure] = _saving(of_images.values())
    return found


def _seconds(own: Sequence[Row]) -> dict[str, float]:
    """Return the seconds that files took for a megapixel: by the clock and, on a CPU, of all threads together."""
    found = {}
    for name in ("seconds", "processor_seconds"):
        timed = [row for row in own if name in row]
        if timed:
            megapixels = sum(row["pixels"] for row in timed) / 1e6
            found[f"{name}_per_megapixel"] = round(sum(row[name] for row in timed) / megapixels, 3)
    return found


def against(rows: Sequence[Row], results: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the highest level's differences from other codecs, as `tacit eval` has them, in per cent of the bits.

    Beside them are those of level 0 by files of the same qualities, since a curve through fewer points, over less of
    the range, gives other differences than one through many.

    Args:
        rows: What was measured.
        results: Those of `tacit eval` on the same images.

    Returns:
        None where no level has files of all images at the qualities AGAINST.
    """
    (dataset,) = results["datasets"]
    images = sorted(image["name"] for image in dataset["images"])
    anchors = results["curves"][dataset["name"]]
    for level in sorted(SCHEDULES, reverse=True):
        files, plain = (_files_of(rows, one) for one in (level, 0))
        if all((image, quality) in of for image in images for quality in AGAINST for of in (files, plain)):
            return {
                "level": level,
                "qualities": list(AGAINST),
                "results": results["command"],
                "percent": _differences(files, images, anchors),
                "percent_of_level_0": _differences(plain, images, anchors),
            }
    return None


def _files_of(rows: Iterable[Row], level: int) -> dict[tuple[str, int], Row]:
    """Return a level's row for each image and quality."""
    steps = SCHEDULES[level].steps if level else 0
    ordered = sorted(rows, key=lambda row: row["device"])  # a CPU's first: others take their place
    return {_file(row): row for row in ordered if (row["level"], row["steps"]) == (level, steps)}


def _differences(
    files: Mapping[tuple[str, int], Row], images: Sequence[str], anchors: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, dict[str, float]]:
    """Return the differences of the curve through files of the qualities AGAINST from each anchor's, by each metric."""
    curve = [[files[image, quality] for image in images] for quality in AGAINST]
    rates = [fmean(8 * row["bytes"] / row["pixels"] for row in point) for point in curve]
    return {
        name: {
            metric: round(
                rate_difference(
                    ([point["bpp"] for point in anchor], [point["metrics"][metric] for point in anchor]),
                    (rates, [fmean(row[metric] for row in point) for point in curve]),
                ).value,
                2,
            )
            for metric in ("psnr", "ssimulacra2")
        }
        for name, anchor in anchors.items()
    }


def _saving(of_images: Iterable[Sequence[float]]) -> dict[str, Any]:
    """Return the mean over images of what `saved` says of their files, in per cent; each image counts once."""
    means = []
    for logarithms in of_images:
        known = [value for value in logarithms if not math.isnan(value)]
        if known:
            means.append(100 * math.expm1(fmean(known)))
    if not means:
        return {"percent": None, "interval": None, "images": 0}
    interval = None
    if len(means) >= MIN_DIFFERENCES:
        interval = [round(end, 2) for end in confidence_interval(means)]
    return {"percent": round(fmean(means), 2), "interval": interval, "images": len(means)}


def write_summary(rows: Sequence[Row], path: Path) -> None:
    """Write the summary of all rows, beside what `make kodak` has measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kodak = ROOT / "results" / "kodak" / "results.json"
    compared = against(rows, json.loads(kodak.read_text())) if kodak.is_file() else None
    path.write_text(dumps({**summarise(rows), "against": compared, **describe_machine()}))


if __name__ == "__main__":
    sys.exit(main())
