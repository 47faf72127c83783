"""Measure what a promise costs, and whether it is kept: `python -m benchmarks.keep`.

The images are in the folders kodak and coco_eval of $TACIT_DATA; the phrases and boxes are the study's. For each of
them the encoder promises the fidelity that the box has in a file of one quality (PROMISED), by its PSNR and by its
SSIMULACRA 2, while the rest has a low quality (REST): once for the drawn box, once for what the finder makes of the
phrase, and once more for the drawn box in a size, SIZE times that of the anchor. The anchor is the smallest file of one
quality everywhere, REST or more where the rest has that, that keeps the same boxes by the same rule. Each file is
decoded by the other engine, in fp32 and in bf16, and its boxes are measured there.

A row of runs/keep.jsonl (or of --rows FILE) is one file. Rows that are there are not measured again, so an interrupted
run continues. The regions come in a shuffled order, so that part of them is a sample of all. The summary goes into
results/keep.json (or --out FILE) every few regions; --summarise writes it from the rows alone.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.environment import describe_machine, find_data
from tacit import weights
from tacit.codec import Codec, EncodeOptions, EncodeResult, Keep, Prepared
from tacit.codec.fidelity import fidelity
from tacit.codec.rate_control import ATTEMPTS, QualitySearch, Scale
from tacit.errors import NotFound, TargetNotReached
from tacit.evaluation.confidence import MIN_DIFFERENCES, confidence_interval
from tacit.evaluation.journal import Journal
from tacit.evaluation.readable_json import dumps
from tacit.evaluation.tasks import digest
from tacit.image import ConversionWarning, Raster, load
from tacit.study.named_regions import NamedRegion, read_named_regions

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"kodak": "kodak", "coco": "coco_eval"}
PROMISED, REST, SIZE = 60.0, 25.0, 0.75
SMALL = 0.1  # of an image; below, a thing counts as small
EVERY = 10  # regions, after which the summary is written
Box = tuple[int, int, int, int]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A promise about a region."""

    place: str
    """ "box" or "phrase"."""
    measure: str
    """ "psnr" or "ssimulacra2"."""
    target: str
    """ "quality" or "size"."""


CASES = (
    Case("box", "psnr", "quality"),
    Case("phrase", "psnr", "quality"),
    Case("box", "psnr", "size"),
    Case("box", "ssimulacra2", "quality"),
    Case("phrase", "ssimulacra2", "quality"),
)


def main() -> int:
    """Measure what is missing, and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(FOLDERS))
    parser.add_argument("--weights", default=weights.DEFAULT)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--limit", type=int, help="measure so many regions of each set")
    parser.add_argument("--rows", type=Path, default=ROOT / "runs" / "keep.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "keep.json")
    parser.add_argument("--summarise", action="store_true", help="measure nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConversionWarning)
    regions: list[tuple[str, NamedRegion]] = []
    for name in options.sets.split(","):
        of_set = list(read_named_regions(name))
        random.Random(0).shuffle(of_set)
        regions += [(name, region) for region in of_set[: options.limit]]
    with Journal(options.rows) as journal:
        if not options.summarise:
            bench = Bench(options.weights, journal, options.threads)
            for number, (name, region) in enumerate(regions, 1):
                bench.measure(name, find_data(FOLDERS[name]), region)
                if number % EVERY == 0:
                    write_summary(journal.entries.values(), options.out)
        write_summary(journal.entries.values(), options.out)
    return 0


class Bench:
    """Measures promises with one model, and keeps what it measured.

    Args:
        model: A model's name, or the path of a weights file.
        journal: Where rows are kept.
        threads: How many threads encode and decode; None for one for each core.
    """

    def __init__(self, model: str, journal: Journal, threads: int | None = None) -> None:
        self._journal = journal
        self._codec = Codec(model, engine="onnx", threads=threads)
        self._others = {
            precision: Codec(model, engine="torch", precision=precision, threads=threads)
            for precision in ("fp32", "bf16")
        }
        self._weights = weights.describe(self._codec.path).decode_hash.hex()

    def measure(self, name: str, folder: Path, region: NamedRegion) -> None:
        """Add the rows of a region of a set."""
        known = {
            digest([self._weights, region.image, region.box, vars(case), PROMISED, REST, SIZE]): case for case in CASES
        }
        if not known.keys() - self._journal.entries.keys():
            return
        raster = load(folder / region.image)
        prepared = self._codec.prepare(raster)
        plain = prepared.encode(PROMISED, reconstruct=True)
        for key, case in known.items():
            if key in self._journal.entries:
                continue
            left, top, right, bottom = region.box
            row: dict[str, Any] = {"key": key, "weights": self._weights, "set": name, "image": region.image}
            row |= {"phrase": region.phrase, "seen": region.seen, **vars(case)}
            if case.measure == "psnr" or min(right - left, bottom - top) >= 8:
                row |= self._promised(case, region, raster, prepared, plain)
            else:
                row["outcome"] = "too small"
            self._journal.append(row)
            print(f"{region.image} {region.phrase!r} {case}: {row['outcome']}", flush=True)

    def _promised(
        self, case: Case, region: NamedRegion, raster: Raster, prepared: Prepared, plain: EncodeResult
    ) -> dict[str, Any]:
        least = measured(case.measure, np.asarray(plain.image), raster, [region.box])[0][1]
        if least <= 0:
            return {"outcome": "too low"}  # a box of which next to nothing is left at this quality
        place: Any = {"box": region.box} if case.place == "box" else {"phrase": region.phrase}
        fidelity_asked: Any = {case.measure: least}
        keep = Keep(**place, **fidelity_asked)
        boxes = [region.box]
        target: dict[str, Any] = {"quality": REST}
        try:
            if case.target == "size":
                target = {"size": math.floor(SIZE * len(uniform(prepared, raster, keep, boxes).data))}
            made = self._codec.encode_result(raster, options=EncodeOptions(keep=[keep], **target))
            boxes = [kept.box for kept in made.kept]
            anchor = uniform(prepared, raster, keep, boxes, target.get("quality", 0.0))
        except NotFound:
            return {"outcome": "not found"}
        except TargetNotReached:
            return {"outcome": "not reached"}
        elsewhere = {
            precision: measured(case.measure, np.asarray(codec.decode(made.data)), raster, boxes)
            for precision, codec in self._others.items()
        }
        return {
            "outcome": "kept",
            "least": least,
            "boxes": boxes,
            "part": sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
            / (raster.width * raster.height),
            "reached": [kept.reached for kept in made.kept],
            "elsewhere": {name: [reached for reached, _ in values] for name, values in elsewhere.items()},
            "bytes": len(made.data),
            "kept_bytes": made.kept_bytes,
            "rest": made.quality,
            "anchor_bytes": len(anchor.data),
            "anchor_quality": anchor.quality,
        }


def measured(measure: str, decoded: np.ndarray, raster: Raster, boxes: Sequence[Box]) -> list[tuple[float, float]]:
    """Return what each box has here, and what it has on every decoder."""
    found = []
    for left, top, right, bottom in boxes:
        image, original = (pixels[top:bottom, left:right] for pixels in (np.atleast_3d(decoded), raster.pixels))
        one = fidelity(measure, image, original)
        found.append((min(one.reached, 148.0), one.assured))
    return found


def uniform(prepared: Prepared, raster: Raster, keep: Keep, boxes: Sequence[Box], lowest: float = 0.0) -> EncodeResult:
    """Return the smallest file of one quality, `lowest` or more, that keeps boxes.

    Raises:
        TargetNotReached: The highest quality does not.
    """
    search = QualitySearch(Scale(0, 100 - lowest), both_ends=True)  # of 100 - quality
    best: EncodeResult | None = None
    for number in range(ATTEMPTS):
        reversed_quality = search.next(-keep.least, 0.03, number)
        if reversed_quality is None:
            break
        made = prepared.encode(100 - reversed_quality, reconstruct=True)
        value = min(assured for _, assured in measured(keep.measure, np.asarray(made.image), raster, boxes))
        search.add(reversed_quality, -value)
        if value >= keep.least and (best is None or len(made.data) < len(best.data)):
            best = made
    if best is None:
        raise TargetNotReached("the highest quality does not keep the boxes")
    return best


def summarise(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return for each set and case how many promises were made and kept, and their bytes against the anchor."""
    rows = list(rows)
    now = rows[-1]["weights"] if rows else None
    found = []
    for name in FOLDERS:
        for case in CASES:
            own = [
                row
                for row in rows
                if row["weights"] == now and row["set"] == name and all(row[k] == v for k, v in vars(case).items())
            ]
            if own:
                found.append({"set": name, **vars(case), **_summary(own)})
    return found


def _summary(rows: Sequence[Row]) -> dict[str, Any]:
    kept = [row for row in rows if row["outcome"] == "kept"]
    outcomes = dict.fromkeys(("kept", "not found", "not reached", "too small", "too low"), 0)
    for row in rows:
        outcomes[row["outcome"]] += 1
    broken = {"here": sum(min(row["reached"]) < row["least"] for row in kept)}
    for precision in ("fp32", "bf16"):
        broken[precision] = sum(min(row["elsewhere"][precision]) < row["least"] for row in kept)
    return {
        "files": len(rows),
        "outcomes": outcomes,
        "broken": broken,
        "all": _saving(kept),
        "small": _saving([row for row in kept if row["part"] < SMALL]),
    }


def _saving(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the bytes against the anchor's in per cent, with the interval of the mean; an image counts once."""
    images: dict[str, list[float]] = {}
    for row in rows:
        images.setdefault(row["image"], []).append(math.log(row["bytes"] / row["anchor_bytes"]))
    means = [fmean(values) for values in images.values()]
    if not means:
        return {"percent": None, "interval": None, "files": 0}
    interval = None
    if len(means) >= MIN_DIFFERENCES:
        interval = [round(100 * math.expm1(end), 1) for end in confidence_interval(means)]
    return {"percent": round(100 * math.expm1(fmean(means)), 1), "interval": interval, "files": len(rows)}


def write_summary(rows: Iterable[Row], path: Path) -> None:
    """Write the summary of all rows."""
    rows = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    summary = {
        "command": "python -m benchmarks.keep",
        "weights_hash": rows[-1]["weights"] if rows else None,
        "promised_quality": PROMISED,
        "rest_quality": REST,
        "size": SIZE,
        "cases": summarise(rows),
    }
    path.write_text(dumps({**summary, **describe_machine()}))


if __name__ == "__main__":
    sys.exit(main())
