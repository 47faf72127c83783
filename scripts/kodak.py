"""Rate and PSNR on the Kodak suite, from real files: `python scripts/kodak.py [FOLDER]`.

FOLDER holds kodim01.png to kodim24.png; otherwise $TACIT_DATA/kodak, or ../shared/data/kodak. Captions come from
FOLDER.jsonl (`{"file": ..., "captions": [...]}`) if that is there. Writes results/kodak.json and results/kodak.md.

Protocol: bits per pixel are those of the whole file; PSNR is that of the 8-bit RGB image decoded from it; both are
averaged over the images at each quality. Interpolation between qualities: pchip of PSNR over log rate (of log rate over
PSNR for Bjoentegaard's difference), by tacit.evaluation.bjontegaard. What JPEG, WebP and AVIF make is kept
in results/kodak-baselines.json and measured again only if Pillow, a codec's library or an image changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from machine import describe_machine, find_data
from PIL import Image

from tacit import weights
from tacit.evaluation.baselines import BASELINES, decode
from tacit.evaluation.bjontegaard import quality_at, rate_difference
from tacit.evaluation.metrics import psnr
from tacit.evaluation.pretty import dumps

ROOT = Path(__file__).resolve().parent.parent
QUALITIES = (0, 12, 25, 38, 50, 62, 75, 88, 100)
BASELINE_QUALITIES = {
    "JPEG": (1, 3, 5, 8, 12, 17, 23, 30, 40, 50, 60, 70, 80, 88, 93),
    "WebP": (0, 3, 8, 15, 25, 38, 50, 62, 72, 80, 88, 94),
    "AVIF": (5, 15, 24, 32, 40, 47, 54, 61, 68, 75, 82, 88),
}
RATES = tuple(round(0.15 + 0.05 * i, 2) for i in range(18))  # 0.15 to 1.0 bpp

Rows = list[tuple[float, int, float]]  # quality, bytes, PSNR


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="the 24 images")
    parser.add_argument("--model", default=weights.DEFAULT, help="a model's name, or a weights file")
    parser.add_argument("--images", type=int, default=24, help="fewer, for a quick look; results are not written then")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--fresh", action="store_true", help="measure JPEG, WebP and AVIF again in any case")
    arguments = parser.parse_args()
    folder = arguments.folder or find_data("kodak")
    paths = sorted(folder.glob("kodim*.png"))[: arguments.images]
    if not paths:
        raise SystemExit(f"{folder}: no kodim*.png")
    captions = read_captions(folder)
    begun = time.monotonic()
    model = weights.describe(weights.locate(arguments.model))
    with ProcessPoolExecutor(
        arguments.jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(arguments.model,)
    ) as pool:
        images = _baselines(paths, pool, arguments.fresh)
        runs = {"tacit-s": None} | ({"tacit-s with captions": captions} if captions else {})
        for name, chosen in runs.items():
            work = [(path, chosen[path.name] if chosen else None) for path in paths]
            for path, rows in zip(paths, pool.map(_tacit, work), strict=True):
                images[path.name][name] = rows
    curves = {name: _average(images, name) for name in next(iter(images.values()))}
    result = {
        "command": " ".join(["python", *_relative(sys.argv)]),
        "images": len(images),
        "model": model.name,
        "weights_hash": model.decode_hash.hex(),
        "weights_sha256": hashlib.sha256(model.path.read_bytes()).hexdigest(),
        **describe_machine(),
        "libraries": _libraries(),
        "seconds": round(time.monotonic() - begun, 1),
        "curves": curves,
        "comparison": compare(curves),
        "per_image": {name: {k: rows for k, rows in c.items() if k not in BASELINES} for name, c in images.items()},
    }
    print(table(result))
    if len(images) == 24 and arguments.model == weights.DEFAULT:
        (ROOT / "results" / "kodak.json").write_text(dumps(result))
        (ROOT / "results" / "kodak.md").write_text(table(result))
    return 0


def read_captions(folder: Path) -> dict[str, str] | None:
    """The first caption of each image, by file name, from the JSON lines beside the folder."""
    path = folder.with_suffix(".jsonl")
    if not path.is_file():
        return None
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {Path(row["file"]).name: row["captions"][0] for row in rows}


# -- measuring, in worker processes ------------------------------------------------------------------------------------

_codec: Any = None


def _start(model: str) -> None:
    global _codec
    from tacit.codec import Codec

    _codec = Codec(model, threads=1)


def _tacit(work: tuple[Path, str | None]) -> Rows:
    path, caption = work
    original = np.asarray(Image.open(path).convert("RGB"))
    rows = []
    for quality in QUALITIES:
        data = _codec.encode(original, caption, quality)
        rows.append((quality, len(data), round(psnr(np.asarray(_codec.decode(data)), original), 4)))
    return rows


def _baseline(work: tuple[Path, str]) -> Rows:
    path, name = work
    image = Image.open(path).convert("RGB")
    rows = []
    for quality in BASELINE_QUALITIES[name]:
        data = BASELINES[name].encode(image, quality)
        rows.append((quality, len(data), round(psnr(np.asarray(decode(data)), np.asarray(image)), 4)))
    return rows


def _libraries() -> dict[str, str]:
    return {"Pillow": PIL.__version__} | {name: codec.version or "none" for name, codec in BASELINES.items()}


def _baselines(paths: list[Path], pool: ProcessPoolExecutor, fresh: bool) -> dict[str, dict[str, Rows]]:
    """Image -> codec -> rows, from the file of earlier results where that still holds."""
    kept_path = ROOT / "results" / "kodak-baselines.json"
    key = {
        "libraries": _libraries(),
        "settings": {name: codec.setting for name, codec in BASELINES.items()},
        "qualities": {name: list(qualities) for name, qualities in BASELINE_QUALITIES.items()},
    }
    kept = json.loads(kept_path.read_text()) if kept_path.is_file() and not fresh else {}
    known = kept.get("images", {}) if kept.get("key") == key else {}
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in paths}
    missing = [path for path in paths if known.get(path.name, {}).get("sha256") != hashes[path.name]]
    work = [(path, name) for path in missing for name in BASELINES]
    for (path, name), rows in zip(work, pool.map(_baseline, work), strict=True):
        known.setdefault(path.name, {})["sha256"] = hashes[path.name]
        known[path.name][name] = rows
    if missing and len(paths) == 24:
        kept_path.write_text(dumps({"key": key, "images": known}))
    return {path.name: {name: known[path.name][name] for name in BASELINES} for path in paths}


# -- what comes of it -------------------------------------------------------------------------------------------------


def _average(images: dict[str, dict[str, Rows]], codec: str) -> list[dict[str, float]]:
    """Over the images, at each quality. Kodak's images all have 768 * 512 pixels."""
    curve = []
    for points in zip(*(rows[codec] for rows in images.values()), strict=True):
        bpp = [8 * size / (768 * 512) for _, size, _ in points]
        fidelity = [decibels for _, _, decibels in points]
        curve.append({"quality": points[0][0], "bpp": round(_mean(bpp), 5), "psnr": round(_mean(fidelity), 4)})
    return curve


def compare(curves: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """tacit-s against each other codec: PSNR differences at fixed rates, and the mean rate difference."""
    points = {name: ([p["bpp"] for p in curve], [p["psnr"] for p in curve]) for name, curve in curves.items()}
    out: dict[str, Any] = {}
    for own in (name for name in points if name not in BASELINES):
        for other in (name for name in points if name != own and name in BASELINES):
            gains = {f"{r:.2f}": round(quality_at(points[own], r) - quality_at(points[other], r), 3) for r in RATES}
            known = {rate: gain for rate, gain in gains.items() if gain == gain}  # NaN: outside a curve
            out[f"{own} against {other}"] = {
                "psnr_gain": known,
                "rates_outside": [rate for rate in gains if rate not in known],
                "least_psnr_gain": min(known.values()),
                "better_everywhere": len(known) == len(gains) and min(known.values()) > 0,
                "bd_rate_percent": round(rate_difference(points[other], points[own]).value, 2),
            }
    return out


def table(result: dict[str, Any]) -> str:
    """Markdown: the curves, and the comparison."""
    lines = ["| codec | bpp / PSNR (dB), by quality |", "|---|---|"]
    for name, curve in result["curves"].items():
        points = [f"{p['bpp']:.3f} / {p['psnr']:.2f}" for p in curve]
        lines.append(f"| {name} | {', '.join(points)} |")
    lines += [
        "",
        "| | bits for equal PSNR | least PSNR gain, 0.15 to 1.0 bpp | better everywhere there |",
        "|---|---|---|---|",
    ]
    for name, c in result["comparison"].items():
        better = "yes" if c["better_everywhere"] else "no"
        lines.append(f"| {name} | {c['bd_rate_percent']:+.1f} % | {c['least_psnr_gain']:+.2f} dB | {better} |")
    lines += ["", f"Weights {result['weights_hash']}, {result['images']} images; `{result['command']}`."]
    return "\n".join(lines) + "\n"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _relative(arguments: list[str]) -> list[str]:
    """The command as it can be given anywhere: no folder of this machine."""
    return [f"scripts/{Path(arguments[0]).name}", *("KODAK" if Path(a).is_dir() else a for a in arguments[1:])]


if __name__ == "__main__":
    sys.exit(main())
