"""Measure speed and memory of the codec: `make bench`, or `python -m benchmarks.codec [--image FILE] [--large]`.

The measurements run on two cores, with one image of 768x512 pixels: kodim05 of the Kodak suite where it is found (see
benchmarks/kodak.py), otherwise scikit-image's coffee cup, resized. Times are medians in one process, after loading and
one run that does not count; times of commands are those of whole processes. --large also measures an image of 100
megapixels, which takes minutes. The results are written to results/codec.json, and printed beside the limits that the
project has set itself.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

from benchmarks.environment import describe_machine, find_data
from tacit.evaluation.readable_json import dumps

ROOT = Path(__file__).resolve().parent.parent
CORES = 2
QUALITY = 50
CAPTION = "a group of motocross riders on a dirt hill"

# name -> unit, limit, what it is
MEASURES: dict[str, tuple[str, float | None, str]] = {
    "load": ("ms", None, "loading tacit-s, torch imported"),
    "encode": ("ms", 150, "encode, 768x512, quality 50"),
    "encode_caption": ("ms", 150, "encode with a caption"),
    "encode_size": ("ms", None, "encode to a size in bytes (a search)"),
    "decode": ("ms", 100, "decode to a Pillow image"),
    "entropy_encode": ("ms", 15, "of encoding: entropy coding"),
    "entropy_decode": ("ms", 15, "of decoding: entropy coding"),
    "memory": ("MB", 700, "peak memory, encode and decode"),
    "command_encode": ("s", None, "tacit encode photo.png"),
    "command_decode": ("s", 2.5, "tacit decode photo.tacit"),
    "import_torch": ("s", None, "of both: python -c 'import torch'"),
    "command_info": ("s", 0.3, "tacit info photo.tacit"),
    "command_help": ("s", 0.3, "tacit --help"),
    "taco_encode": ("ms", 2000, "encode with taco, random weights"),
    "taco_decode": ("ms", 2000, "decode with taco, random weights"),
    "large_encode": ("s", None, "encode, 100 megapixels"),
    "large_decode": ("s", None, "decode, 100 megapixels"),
    "large_memory": ("MB", 4000, "peak memory of both, 100 megapixels"),
}


def main() -> None:
    """Measure, and write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a photograph; it is cut to 768x512 if it is larger")
    parser.add_argument("--runs", type=int, default=9, help="of each measurement")
    parser.add_argument("--large", action="store_true", help="100 megapixels too")
    parser.add_argument("--no-taco", action="store_true", help="leave taco out")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    os.environ["OMP_NUM_THREADS"] = str(CORES)  # of the commands that are started
    if arguments.memory_of:
        print(json.dumps(round_trip(arguments.memory_of)))
        return
    import torch

    torch.set_num_threads(CORES)
    photo, origin = _photo(arguments.image)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo.save(folder / "photo.png")
        found |= in_process(photo, arguments.runs)
        found["memory"] = _in_process_of_its_own(folder / "photo.png")["memory"]
        found |= commands(folder, max(3, arguments.runs // 3))
        if not arguments.no_taco:
            found |= taco(photo, folder, max(3, arguments.runs // 3))
        if arguments.large:
            found |= large(folder)
    from tacit import weights

    result = {
        "command": " ".join(["python -m benchmarks.codec", *(["--large"] if arguments.large else [])]),
        "photograph": origin,
        "runs": arguments.runs,
        "weights_hash": weights.describe(weights.locate(weights.DEFAULT)).decode_hash.hex(),
        **describe_machine(),
        "load_average": round(os.getloadavg()[0], 2),
        "measures": {
            key: {"value": float(f"{value:.4g}"), "unit": MEASURES[key][0], "limit": MEASURES[key][1]}
            for key, value in sorted(found.items(), key=lambda item: list(MEASURES).index(item[0]))
        },
    }
    print(report(result))
    (ROOT / "results").mkdir(exist_ok=True)
    (ROOT / "results" / "codec.json").write_text(dumps(result))


def _photo(path: Path | None) -> tuple[Image.Image, str]:
    """Return an image of 768x512 pixels, and a text that says which one it is."""
    if path is None:
        try:
            path = find_data("kodak") / "kodim05.png"
        except SystemExit:
            from tacit.demo.samples import sample_image

            return sample_image("coffee").resize((768, 512), Image.Resampling.LANCZOS), "scikit-image's coffee, resized"
    image = Image.open(path).convert("RGB")
    return image.crop((0, 0, 768, 512)), path.name


def _median(work: Callable[[], object], runs: int) -> float:
    """Return the median time in seconds, after one run that does not count."""
    work()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def in_process(photo: Image.Image, runs: int) -> dict[str, float]:
    """Measure tacit-s in this process."""
    from tacit import weights
    from tacit.codec import Codec

    codec = Codec()
    load = _median(lambda: weights.load(codec.path), 3)
    plain = codec.encode(photo, None, QUALITY)
    limit = int(0.8 * len(plain))
    times = {
        "load": load,
        "encode": _median(lambda: codec.encode(photo, None, QUALITY), runs),
        "encode_caption": _median(lambda: codec.encode(photo, CAPTION, QUALITY), runs),
        "encode_size": _median(lambda: codec.encode(photo, None, size=limit), 3),
        "decode": _median(lambda: codec.decode(plain).load(), runs),
        **entropy_coding(codec, photo, runs),
    }
    return {name: 1000 * seconds for name, seconds in times.items()}


def entropy_coding(codec: Any, photo: Image.Image, runs: int) -> dict[str, float]:
    """Measure the entropy coder alone, on the recorded symbols of one encoding."""
    from tacit.entropy import coder, streams

    batches: list[tuple[Any, np.ndarray, np.ndarray]] = []

    class Recorder(coder.SymbolEncoder):
        def put(self, models: Any, indices: np.ndarray, symbols: np.ndarray) -> None:
            batches.append((models, indices, symbols))
            super().put(models, indices, symbols)

    with mock.patch.object(streams, "SymbolEncoder", Recorder):
        codec.encode(photo, None, QUALITY)

    def encode() -> bytes:
        encoder = coder.SymbolEncoder()
        for models, indices, symbols in batches:
            encoder.put(models, indices, symbols)
        return encoder.finish()

    stream = encode()

    def decode() -> None:
        decoder = coder.SymbolDecoder(stream)
        for models, indices, _ in batches:
            decoder.get(models, indices)
        decoder.finish()

    return {"entropy_encode": _median(encode, runs), "entropy_decode": _median(decode, runs)}


def round_trip(path: Path) -> dict[str, float]:
    """Encode and decode a file once; return seconds, and the peak memory of this process in MB."""
    Image.MAX_IMAGE_PIXELS = None
    from tacit.codec import Codec

    codec = Codec()
    begun = time.perf_counter()
    data = codec.encode(path, None, QUALITY)
    encoded = time.perf_counter()
    codec.decode(data)
    decoded = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return {"encode": encoded - begun, "decode": decoded - encoded, "memory": peak * unit / 1e6}


def _in_process_of_its_own(path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--memory-of", path], check=True, capture_output=True, text=True, cwd=path.parent
    )
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def large(folder: Path) -> dict[str, float]:
    """Measure an image of 100 megapixels, a mosaic of scikit-image's photographs."""
    from tacit.demo.samples import SAMPLES, sample_image

    size = (12_288, 8_192)
    picture = Image.new("RGB", size)
    tiles = [sample_image(s.name).resize((1024, 1024)) for s in SAMPLES]
    for row in range(size[1] // 1024):
        for column in range(size[0] // 1024):
            picture.paste(tiles[(row + column) % len(tiles)], (1024 * column, 1024 * row))
    picture.save(folder / "large.bmp")
    del picture, tiles
    return {f"large_{name}": value for name, value in _in_process_of_its_own(folder / "large.bmp").items()}


def commands(folder: Path, runs: int) -> dict[str, float]:
    """Measure whole processes in seconds."""
    tacit = Path(sys.executable).with_name("tacit")

    def run(*arguments: str) -> Callable[[], object]:
        return lambda: subprocess.run(arguments, check=True, capture_output=True, cwd=folder)

    return {
        "command_encode": _median(run(str(tacit), "encode", "-f", "photo.png"), runs),
        "command_decode": _median(run(str(tacit), "decode", "photo.tacit", "-o", "back.png", "-f"), runs),
        "command_info": _median(run(str(tacit), "info", "photo.tacit"), runs),
        "command_help": _median(run(str(tacit), "--help"), runs),
        "import_torch": _median(run(sys.executable, "-c", "import torch"), runs),
    }


def taco(photo: Image.Image, folder: Path, runs: int) -> dict[str, float]:
    """Measure the published architecture with random weights; what it codes is no image, but takes the same time."""
    import torch

    from tacit import weights
    from tacit.codec import Codec
    from tacit.models.freezing import freeze_entropy
    from tacit.models.taco import TacoConfig, TacoModel
    from tacit.text.tokens import TextTokens

    torch.manual_seed(0)
    model = TacoModel(TacoConfig()).eval()
    tokens = TextTokens(torch.randn(1, 16, 512), torch.ones(1, 16, dtype=torch.bool), torch.ones(1, 16))
    with torch.inference_mode():
        x = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None, :, :256, :256].float() / 255
        y = model.analysis(x, tokens).float()
        # random weights give latents of no size: grown, and their scales with them, so that there is something to code
        model.analysis.layers[-2].weight.mul_(2 / y.std())  # type: ignore[operator]
        for nets in (model.entropy.parameters_anchor, model.entropy.parameters_other):
            for channels, net in zip(model.entropy.groups, nets, strict=True):
                net[-1].bias[:channels] = 2  # type: ignore[index]
        y = model.analysis(x, tokens).float()
        entropy = freeze_entropy(model, y, model.hyper_latents(y).float(), torch.full((1,), 50.0))
    path = folder / "taco.safetensors"
    weights.save(path, model, entropy, {"note": "random"})

    class Words:
        name, width = "random", 512

        def __call__(self, captions: Any) -> TextTokens:
            return tokens.expand(len(captions))

        def offsets(self, caption: str) -> list[tuple[int, int]]:
            return []

    codec = Codec(path, text_encoder=Words())  # type: ignore[arg-type]
    data = codec.encode(photo, CAPTION)
    return {
        "taco_encode": 1000 * _median(lambda: codec.encode(photo, CAPTION), runs),
        "taco_decode": 1000 * _median(lambda: codec.decode(data), runs),
    }


def report(result: dict[str, Any]) -> str:
    """Return the figures and their limits as text."""
    lines = []
    for name, measure in result["measures"].items():
        limit = measure["limit"]
        beside = "" if limit is None else f"  limit {limit:>4g}{'' if measure['value'] <= limit else '   MISSED'}"
        lines.append(f"{MEASURES[name][2]:<40}{measure['value']:>8.4g} {measure['unit']:<2}{beside}")
    machine = result["machine"]
    lines.append(f"{machine['processor']}, {machine['cores']} cores, torch {machine['torch']}, bf16: {machine['bf16']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
