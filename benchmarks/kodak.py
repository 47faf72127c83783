"""Run `tacit eval` on the Kodak suite with this project's settings, into results/kodak: `make kodak`.

The images are in the folder kodak of $TACIT_DATA, their captions in kodak.jsonl beside it. Options of `tacit eval` may
follow, such as `-j 1` or `--fresh`. Results that are in results/kodak already are kept: after a change of weights, only
tacit's own files are measured again.

All of it takes some two hours of two cores, nearly all of them for the four slowest codecs (AVIF at speed 0 by both
tunes, VVenC and SVT-AV1), which therefore have five points each. `--quick` leaves those four out.

    python -m benchmarks.kodak --set div2k            # or clic: into results/div2k, from that folder of $TACIT_DATA

measures another set of images likewise.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.environment import find_data
from tacit import cli, weights

ROOT = Path(__file__).resolve().parent.parent
METRICS = ("psnr", "ms-ssim", "ssimulacra2", "butteraugli-3norm", "st-lpips")
# From 0.07 bits per pixel, or a codec's least, to 1.3.
OWN = (0, 12, 25, 38, 50, 62, 75, 88, 100)
QUALITIES = {
    **dict.fromkeys(weights.SHIPPED, OWN),
    f"{weights.DEFAULT}+captions": OWN,
    "jpeg": (1, 5, 9, 16, 28, 48, 76),
    "jpegli": (1, 10, 20, 34, 50, 64, 76),
    "webp": (0, 1.2, 5, 15, 32, 54, 74, 84),
    "avif": (5, 15, 24, 34, 45, 57, 71),
    "avif-psnr": (1, 8, 17, 28, 40, 52, 65),
    "avif-slow": (5, 19, 34, 51, 70),
    "avif-slow-psnr": (1, 14, 30, 48, 66),
    "svt-av1": (59, 51, 42, 32, 20),
    "jxl": (0, 5, 13, 28, 50, 68, 82),
    "jxl-slow": (0, 5, 13, 28, 50, 68, 82),
    "heic": (2, 8, 14, 20, 28, 37, 47),
    "vvenc": (46, 40, 34, 28, 23),
}
SLOWEST = ("avif-slow", "avif-slow-psnr", "svt-av1", "vvenc")


def main() -> int:
    """Run the evaluation and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=("kodak", "clic", "div2k"), default="kodak")
    parser.add_argument("--quick", action="store_true")
    options, more = parser.parse_known_args()
    os.environ["TACIT_DATA"] = str(find_data(options.set).resolve().parent)
    os.chdir(ROOT)
    return cli.main([*arguments(options.set, quick=options.quick), *more])


def arguments(dataset: str, *, quick: bool = False) -> list[str]:
    """Return the arguments of `tacit eval` for a data set, with or without the slowest codecs."""
    qualities = {codec: of for codec, of in QUALITIES.items() if not (quick and codec in SLOWEST)}
    if dataset != "kodak":  # the other sets have no captions
        qualities = {codec: of for codec, of in qualities.items() if "+captions" not in codec}
    folder = Path("results", dataset)
    found = ["eval", dataset, "-o", str(folder), "--codecs", ",".join(qualities), "--metrics", ",".join(METRICS)]
    for codec, of in qualities.items():
        found += ["--quality", f"{codec}={','.join(f'{quality:g}' for quality in of)}"]
    return [*found, "--log"]


if __name__ == "__main__":
    sys.exit(main())
