"""Measure how well the finder finds what phrases name: `python -m benchmarks.finding`.

The images are in the folders kodak and coco_eval of $TACIT_DATA; the phrases and their boxes are the study's, about
Kodak, and about COCO photos of which half were never looked at while the finder was built. Each phrase's map is
brought onto cells of 64x64 pixels, as steering does, and compared with its box: the area under the curve (places in
the box against the others), the share of what a map of the box itself would move (the mean inside the box less the mean
outside; over a set, the ratio of the sums), and whether the likeliest place is inside the box. Then each cue is left
out once. "another phrase" finds a phrase that names something else, which should find another place. The results are
written to results/finding.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.environment import describe_machine, find_data
from tacit.codec.steering import relevance
from tacit.container import CELL
from tacit.evaluation.readable_json import dumps
from tacit.finding import CueFinder
from tacit.finding.cue_finder import core_cues, default_cues
from tacit.finding.maps import Map
from tacit.study.named_regions import NamedRegion, other_phrases, read_named_regions

ROOT = Path(__file__).resolve().parent.parent


def judged(values: Map, region: NamedRegion, width: int, height: int) -> dict[str, float]:
    """Return the three measures of a map for a phrase whose box is known."""
    left, top, right, bottom = region.box
    inside = np.zeros((height, width), np.float32)
    inside[top:bottom, left:right] = 1
    cells, oracle = (relevance(shown, width, height) for shown in (values, inside))
    whole = np.kron(cells, np.ones((CELL, CELL)))[:height, :width]
    best = np.kron(oracle, np.ones((CELL, CELL)))[:height, :width]
    box = inside > 0
    fine = np.asarray(Image.fromarray(values).resize((width // 4, height // 4), Image.Resampling.BILINEAR))
    mask = box[2::4, 2::4][: fine.shape[0], : fine.shape[1]]
    order = np.argsort(np.argsort(fine.ravel() + 1e-6 * np.random.default_rng(0).random(fine.size)))
    ranks = order.reshape(fine.shape)[mask]
    count = mask.sum()
    area = (ranks.sum() - count * (count - 1) / 2) / (count * (mask.size - count))
    row, column = divmod(int(fine.argmax()), fine.shape[1])
    return {
        "area": float(area),
        "moved": float(whole[box].mean() - whole[~box].mean()),
        "oracle": float(best[box].mean() - best[~box].mean()),
        "hit": float(mask[row, column]) if np.ptp(fine) > 0 else 0.0,
    }


def measure(finder: CueFinder, regions: Sequence[NamedRegion], phrases: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return the measures of all phrases, their means, and the processor time for a megapixel."""
    rows = []
    for region, phrase in zip(regions, phrases, strict=True):
        pixels = np.asarray(Image.open(folder / region.image).convert("RGB"))
        start = time.process_time()
        found = finder(pixels, phrase)
        seconds = time.process_time() - start
        height, width = pixels.shape[:2]
        row = judged(found.map, region, width, height)
        cues = sorted({cue for thing in found.things for cue in thing.cues})
        rows.append({"image": region.image, "phrase": phrase, **row, "cues": cues, "seconds": seconds})
    summary = {key: float(np.mean([row[key] for row in rows])) for key in ("area", "moved", "oracle", "hit")}
    return {
        **summary,
        "share": summary["moved"] / summary["oracle"],
        "not found": sum(not row["cues"] for row in rows),
        "phrases": len(rows),
        "rows": rows,
    }


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "finding.json")
    parser.add_argument("--rows", action="store_true", help="print each phrase")
    parser.add_argument("--quick", action="store_true", help="leave no cue out, and no image unseen; write nothing")
    options = parser.parse_args()
    coco = read_named_regions("coco")
    sets = {
        "kodak": (find_data("kodak"), read_named_regions("kodak")),
        "coco, seen": (find_data("coco_eval"), [region for region in coco if region.seen]),
    }
    if not options.quick:
        sets["coco, unseen"] = (find_data("coco_eval"), [region for region in coco if not region.seen])
    results: dict[str, Any] = {}
    seconds: list[float] = []
    for set_name, (folder, regions) in sets.items():
        print(f"{set_name}: {len(regions)} phrases")
        for name, (finder, phrases) in conditions(regions, options.quick).items():
            result = measure(finder, regions, phrases, folder)
            seconds += [row.pop("seconds") for row in result["rows"]]
            results.setdefault(set_name, {})[name] = result
            figures = "  ".join(f"{key} {result[key]:.2f}" for key in ("area", "share", "hit"))
            print(f"  {name:18} {figures}  not found {result['not found']}")
            if options.rows and name == "all":
                for row in result["rows"]:
                    print(
                        f"    {row['moved'] / row['oracle']:6.2f} {row['area']:.2f} {row['hit']:.0f}",
                        *(row[key] for key in ("image", "phrase", "cues")),
                    )
            if name != "all":
                del result["rows"]
    median = float(np.median(seconds))
    print(f"median processor time: {median:.3f} s for an image")
    if not options.quick:
        card = {"command": "python -m benchmarks.finding", **describe_machine()}
        options.output.write_text(dumps({**card, "results": results}))


def conditions(regions: Sequence[NamedRegion], quick: bool) -> dict[str, tuple[CueFinder, Sequence[str]]]:
    """Return the finders that are compared, and the phrases that each one gets."""
    phrases = [region.phrase for region in regions]
    cues, core = default_cues(), core_cues()
    compared: dict[str, tuple[CueFinder, Sequence[str]]] = {
        "all": (CueFinder(cues), phrases),
        "core": (CueFinder(core), phrases),
        **{f"core and {cue.name}": (CueFinder([*core, cue]), phrases) for cue in cues[len(core) :]},
        "another phrase": (CueFinder(cues), other_phrases(regions)),
    }
    if not quick:
        compared |= {f"without {cue.name}": (CueFinder([c for c in cues if c is not cue]), phrases) for cue in cues}
    return compared


if __name__ == "__main__":
    main()
