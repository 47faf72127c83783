"""Measure what detailed captions and weighted words are worth to the finder: `python -m benchmarks.finder_captions`.

The images are those of the studies' named things, in the folders kodak and coco_eval of $TACIT_DATA. Whole captions are
given to the finder `core`: short and detailed ones of Kodak (data/captions), the first of several people's and all of
them joined of COCO; another image's caption as a control; and the phrases themselves, joined. What is measured is the
share of what maps of the things' boxes would move (`benchmarks.finding`). With weights, each thing's map counts by the
heaviest of its words (`tacit.words`: TF-IDF and names), the heaviest thing in full; "turned" gives the lightest thing
what the heaviest should have. The results are written to results/study/finder.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.environment import describe_machine, find_data
from benchmarks.finding import ROOT, judged
from tacit.evaluation.readable_json import dumps
from tacit.finding import Found, load_finder
from tacit.finding.found import FLAT
from tacit.finding.fusion import shared
from tacit.finding.maps import Map
from tacit.study.named_regions import NamedRegion, read_named_regions
from tacit.study.statistics import PairedDifferences
from tacit.training.dataset.caption_choice import join_captions
from tacit.words import shared_weigher

SHORT, DETAILED, ANOTHER, PHRASES = "short caption", "detailed caption", "another's detailed caption", "the phrases"
WEIGHTED, TURNED = ", weighted", ", weights turned"
COMPARED = (
    (DETAILED, SHORT),
    (DETAILED, ANOTHER),
    (DETAILED + WEIGHTED, DETAILED),
    (DETAILED + WEIGHTED, DETAILED + TURNED),
    (PHRASES + WEIGHTED, PHRASES),
)


def strengths(found: Found, caption: str) -> list[float]:
    """Return how much each found thing counts by the heaviest of its words, 0 to 1; the heaviest thing counts 1."""
    words = shared_weigher()(caption)
    weights = []
    for thing in found.things:
        if thing.map is not None:
            start = caption.find(thing.phrase)
            own = [word.weight - 1 for word in words if start <= word.start < start + len(thing.phrase)]
            weights.append(max(own, default=0.0))
    most = max(weights, default=0.0)
    return [weight / most if most else 1.0 for weight in weights]


def combined(found: Found, weights: Sequence[float]) -> Map:
    """Return the map of all things that were found, each as strong as its weight."""
    maps = [thing.map for thing in found.things if thing.map is not None]
    flat: Map = np.full((1, 1), FLAT, np.float32)
    return shared([weight * values for weight, values in zip(weights, maps, strict=True)]) if maps else flat


def captions_of(name: str, folder: Path) -> dict[str, tuple[str, str]]:
    """Return a short and a detailed caption of each image of a set."""
    if name == "kodak":
        kinds = [_lines(ROOT / "data" / "captions" / f"kodak-{kind}.jsonl") for kind in ("short", "detailed")]
        return {image: (texts[0], kinds[1][image][0]) for image, texts in kinds[0].items() if image in kinds[1]}
    listed = _lines(folder.with_name(f"{folder.name}.jsonl"))
    return {image: (texts[0], join_captions(texts)) for image, texts in listed.items() if len(texts) > 1}


def _lines(path: Path) -> dict[str, list[str]]:
    rows = map(json.loads, path.read_text().splitlines())
    return {Path(row["file"]).name: row["captions"] for row in rows if row["captions"]}


def measure(name: str, folder: Path, regions: Sequence[NamedRegion]) -> dict[str, Any]:
    """Return the shares of one set, and their paired differences over images."""
    finder = load_finder("core")
    captions = captions_of(name, folder)
    images = [image for image in dict.fromkeys(region.image for region in regions) if image in captions]
    moved: dict[str, dict[str, float]] = {}
    counts: dict[str, dict[str, float]] = {}
    oracle: dict[str, float] = {}
    for number, image in enumerate(images):
        pixels = np.asarray(Image.open(folder / image).convert("RGB"))
        own = [region for region in regions if region.image == image]
        short, detailed = captions[image]
        another = captions[images[(number + 1) % len(images)]][1]
        texts = {SHORT: short, DETAILED: detailed, ANOTHER: another, PHRASES: ", ".join(r.phrase for r in own)}
        for condition, text in texts.items():
            found = finder(pixels, text)
            weights = strengths(found, text)
            variants = {
                "": found.map,
                WEIGHTED: combined(found, weights),
                TURNED: combined(found, _turned(weights)),
            }
            for suffix, values in variants.items():
                rows = [judged(values, region, pixels.shape[1], pixels.shape[0]) for region in own]
                moved.setdefault(condition + suffix, {})[image] = float(np.mean([row["moved"] for row in rows]))
                oracle[image] = float(np.mean([row["oracle"] for row in rows]))
            counts.setdefault(condition, {})[image] = len(found.found)
    whole = float(np.mean(list(oracle.values())))
    shares = {condition: {image: value / whole for image, value in of.items()} for condition, of in moved.items()}
    return {
        "images": len(images),
        "boxes": sum(region.image in oracle for region in regions),
        "shares": {condition: float(np.mean(list(of.values()))) for condition, of in shares.items()},
        "things found": {condition: float(np.mean(list(of.values()))) for condition, of in counts.items()},
        "differences": [_difference(shares, test, anchor) for test, anchor in COMPARED],
    }


def _turned(weights: Sequence[float]) -> list[float]:
    """Return the weights with the heaviest and the lightest exchanged, and so on."""
    order = np.argsort(weights, kind="stable")
    turned = np.empty(len(weights))
    turned[order] = np.array(weights)[order[::-1]]
    return [float(weight) for weight in turned]


def _difference(shares: Mapping[str, Mapping[str, float]], test: str, anchor: str) -> dict[str, Any]:
    values = {image: value - shares[anchor][image] for image, value in shares[test].items()}
    differences = PairedDifferences.from_values(values, {})
    return {"test": test, "against": anchor, "mean": differences.mean, "bootstrap": differences.bootstrap}


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "study" / "finder.json")
    parser.add_argument("--limit", type=int, help="named things of each set, for a try")
    options = parser.parse_args()
    sets = {}
    for name, source in (("kodak", "kodak"), ("coco", "coco_eval")):
        sets[name] = measure(name, find_data(source), read_named_regions(name)[: options.limit])
        print(name, {condition: round(share, 3) for condition, share in sets[name]["shares"].items()})
        for row in sets[name]["differences"]:
            print("  ", row)
    card: dict[str, Any] = {"command": "python -m benchmarks.finder_captions", **describe_machine()}
    settings = dict(load_finder("core").settings)
    options.output.write_text(
        dumps({**card, "finder": settings, "words": dict(shared_weigher().settings), "sets": sets})
    )


if __name__ == "__main__":
    main()
