"""Measure what the beginning of a file gives: the PSNR over the share of the bytes that are there.

    python -m benchmarks.progressive [FOLDER]

The images are in the folder kodak of $TACIT_DATA, or in FOLDER. Each is encoded with and without scans and falling
tables, which shows what a progressive file costs, and decoded from several shares of its bytes. The results are written
to results/progressive.json. None of them is a time, so that other programs may run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.environment import describe_machine
from tacit import weights
from tacit.codec import Codec
from tacit.container import beginning
from tacit.evaluation.readable_json import dumps
from tacit.image.psnr import psnr

ROOT = Path(__file__).resolve().parent.parent
SHARES = (0.05, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0)
QUALITY = 50.0


def main() -> int:
    """Encode and decode all images, and write the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="of images; $TACIT_DATA/kodak if none is named")
    parser.add_argument("--model", default="tacit-s", help="a model's name or a weights file")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "progressive.json", help="the file to write")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(os.environ["TACIT_DATA"]) / "kodak"
    codec = Codec(arguments.model, precision="fp32")
    result = {
        "command": "python -m benchmarks.progressive",
        **measure(codec, sorted(folder.glob("*.png"))),
        "weights_hash": weights.describe(weights.locate(arguments.model)).decode_hash.hex(),
        **describe_machine(),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(dumps(result))
    return 0


def measure(codec: Codec, paths: Sequence[Path]) -> dict[str, object]:
    """Return the mean PSNR at each share of the bytes, and the bytes of all files, progressive and not."""
    fidelities: list[list[float]] = []
    sizes = np.zeros(2, dtype=np.int64)
    for path in paths:
        image = Image.open(path).convert("RGB")
        data, plain = (codec.encode(image, quality=QUALITY, progressive=progressive) for progressive in (True, False))
        sizes += len(data), len(plain)
        original = np.asarray(image)
        shown = [np.asarray(codec.decode(bytes(beginning(data, share)), partial=True)) for share in SHARES]
        fidelities.append([psnr(one, original) for one in shown])
        print(
            f"{path.name}  {len(data):>7,} bytes  {'  '.join(f'{value:.2f}' for value in fidelities[-1])}", flush=True
        )
    means = np.mean(fidelities, axis=0)
    return {
        "images": len(paths),
        "quality": QUALITY,
        "points": [{"share": share, "psnr": round(float(mean), 3)} for share, mean in zip(SHARES, means, strict=True)],
        "bytes": int(sizes[0]),
        "plain_bytes": int(sizes[1]),
    }


if __name__ == "__main__":
    sys.exit(main())
