"""Run `tacit eval` on the Kodak suite with this project's settings, into results/kodak: `make kodak`.

The images are in the folder kodak of $TACIT_DATA, their captions in kodak.jsonl beside it. Options of `tacit eval` may
follow, such as `-j 1` or `--fresh`. Results that are in results/kodak already are kept: after a change of weights, only
tacit's own files are measured again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.environment import find_data
from tacit import cli, weights

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path("results", "kodak")
METRICS = ("psnr", "ms-ssim", "ssimulacra2", "butteraugli-3norm")
# From 0.07 bits per pixel, or a codec's least, to 1.3.
OWN = (0, 12, 25, 38, 50, 62, 75, 88, 100)
QUALITIES = {
    **dict.fromkeys(weights.SHIPPED, OWN),
    f"{weights.DEFAULT}+captions": OWN,
    "jpeg": (1, 5, 9, 16, 28, 48, 76),
    "webp": (0, 1.2, 5, 15, 32, 54, 74, 84),
    "avif": (5, 15, 24, 34, 45, 57, 71),
    "jxl": (0, 5, 13, 28, 50, 68, 82),
}


def main() -> int:
    """Run the evaluation and return its exit status."""
    os.environ["TACIT_DATA"] = str(find_data("kodak").resolve().parent)
    os.chdir(ROOT)
    arguments = ["eval", "kodak", "-o", str(FOLDER), "--codecs", ",".join(QUALITIES), "--metrics", ",".join(METRICS)]
    for codec, qualities in QUALITIES.items():
        arguments += ["--quality", f"{codec}={','.join(f'{quality:g}' for quality in qualities)}"]
    return cli.main([*arguments, "--log", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
