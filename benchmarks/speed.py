"""Measure speed and memory: `make speed`, or `python -m benchmarks.speed [--large] [--taco] [--runs N]`.

The machine must be quiet. Everything runs on two cores, with one image of 768x512 pixels: kodim23 of the Kodak suite
where it is found (see benchmarks/kodak.py), otherwise scikit-image's coffee cup, resized. Each engine runs in a process
of its own. Times are medians, after one run that does not count; those of commands are of whole processes. AVIF is
Pillow's, as it comes, in the same run. On a busy machine means: beside two processes that never wait.

--large adds an image of 100 megapixels, --taco the published network with random weights. Results go into
results/speed.json, where each kind of processor has its own, and are printed beside the limits that the project has set
itself. It takes three minutes; each of the options adds one or two.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.environment import benchmark_image, describe_machine
from tacit import machine
from tacit.evaluation.readable_json import dumps

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "results" / "speed.json"
CORES = 2
QUALITY = 60.0
CAPTION = "two parrots, one red and one blue"
ENGINES = ("onnx", "torch")

KINDS: Mapping[str, str] = {
    "avx2": "AVX2",
    "avx512": "AVX-512",
    "avx512-bf16": "AVX-512 with bf16",
    "other": "other",
}
"""Kinds of processors, by what matters for speed, with how tables name them."""

# name -> unit, limit, what it is; of those behind ENGINE_MEASURES each engine has its own
ENGINE_MEASURES: dict[str, tuple[str, float | None, str]] = {
    "load": ("ms", 300, "loading the model"),
    "encode": ("ms", 260, "encode"),
    "encode_caption": ("ms", None, "encode with a caption, which steers"),
    "encode_analysis": ("ms", None, "of encode: analysis"),
    "encode_entropy": ("ms", None, "of encode: entropy networks and coding"),
    "decode": ("ms", 205, "decode to a Pillow image"),
    "decode_entropy": ("ms", 60, "of decode: entropy networks and coding"),
    "decode_synthesis": ("ms", None, "of decode: synthesis"),
    "decode_busy": ("times", 3.5, "decode on a busy machine, beside decode"),
}
MEASURES: dict[str, tuple[str, float | None, str]] = {
    **{
        f"{engine}_{name}": (unit, limit if engine == "onnx" else None, f"{text} ({engine})")
        for name, (unit, limit, text) in ENGINE_MEASURES.items()
        for engine in ENGINES
    },
    "avif_encode": ("ms", None, "AVIF's encode (Pillow), beside it"),
    "avif_decode": ("ms", None, "AVIF's decode (Pillow)"),
    "encode_to_avif": ("times", None, "encode (onnx) beside AVIF's"),
    "decode_to_avif": ("times", None, "decode (onnx) beside AVIF's"),
    "memory": ("MB", 350, "peak memory, encode and decode"),
    "import": ("s", 0.1, "import tacit"),
    "command_encode": ("s", 0.9, "tacit encode image.png"),
    "command_decode": ("s", 0.6, "tacit decode image.tacit"),
    "command_thumbnail": ("s", 0.7, "tacit thumbnail image.tacit image.png"),
    "command_info": ("s", 0.3, "tacit info image.tacit"),
    "command_help": ("s", 0.3, "tacit --help"),
    "taco_encode": ("ms", 2000, "encode with taco, random weights (torch)"),
    "taco_decode": ("ms", 2000, "decode with taco, random weights (torch)"),
    "large_encode": ("s", None, "encode, 100 megapixels"),
    "large_decode": ("s", None, "decode, 100 megapixels"),
    "large_memory": ("MB", 1800, "peak memory of both, 100 megapixels"),
}


def main() -> None:
    """Measure, and write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="an image; it is cut to 768x512 if it is larger")
    parser.add_argument("--runs", type=int, default=11, help="of each measurement")
    parser.add_argument("--large", action="store_true", help="100 megapixels too")
    parser.add_argument("--taco", action="store_true", help="the published network too")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the file to write")
    parser.add_argument("--part", help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if arguments.part:
        print(json.dumps(part(arguments.part, arguments.image, arguments.runs)))
        return
    image, origin = benchmark_image(arguments.image)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = measure(image, folder, arguments.runs, large=arguments.large, taco=arguments.taco)
    from tacit import weights

    flags = "".join(f" --{flag}" for flag in ("large", "taco") if getattr(arguments, flag))
    result = {
        "command": f"python -m benchmarks.speed{flags}",
        "image": origin,
        "runs": arguments.runs,
        "weights_hash": weights.describe(weights.locate(weights.DEFAULT)).decode_hash.hex(),
        **describe_machine(),
        "load_average": round(load, 2),
        "measures": {key: float(f"{found[key]:.4g}") for key in MEASURES if key in found},
    }
    kind = processor_kind(machine.instruction_sets())
    print(report(result, kind))
    results = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    results[kind] = result
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(dumps({name: results[name] for name in KINDS if name in results}))


def processor_kind(instructions: Sequence[str]) -> str:
    """Return the kind of a processor with these instruction sets: a key of `KINDS`."""
    if "avx512f" in instructions:
        return "avx512-bf16" if "avx512_bf16" in instructions else "avx512"
    return "avx2" if "avx2" in instructions else "other"


def measure(
    image: Image.Image, folder: Path, runs: int, *, large: bool = False, taco: bool = False
) -> dict[str, float]:
    """Return all measures.

    Args:
        image: The image.
        folder: Where files are put.
        runs: Runs of each measurement.
        large: Whether an image of 100 megapixels is measured.
        taco: Whether the published network is measured.
    """
    from importlib.util import find_spec

    path = folder / "image.png"
    image.save(path)
    found: dict[str, float] = {}
    for engine in ENGINES:
        if engine != "torch" or find_spec("torch"):
            own = _in_process_of_its_own(engine, path, runs)
            found |= {f"{engine}_{name}": value for name, value in own.items()}
    found |= avif(image, runs)
    for work in ("encode", "decode"):
        found[f"{work}_to_avif"] = found[f"onnx_{work}"] / found[f"avif_{work}"]
    found["memory"] = _in_process_of_its_own("round-trip", path, 1)["memory"]
    found |= commands(folder, max(3, runs // 2))
    if taco and find_spec("torch"):
        found |= _in_process_of_its_own("taco", path, max(3, runs // 3))
    if large:
        large_image().save(folder / "large.bmp")
        own = _in_process_of_its_own("round-trip", folder / "large.bmp", 1)
        found |= {f"large_{name}": value for name, value in own.items()}
    return found


def part(name: str, path: Path, runs: int) -> dict[str, float]:
    """Return the measures of one part, which the process has for itself.

    Args:
        name: The part: an engine, "round-trip" or "taco".
        path: The image.
        runs: Runs of each measurement.
    """
    if name == "round-trip":
        return round_trip(path)
    if name == "taco":
        return taco_times(Image.open(path).convert("RGB"), path.parent, runs)
    return engine_times(name, Image.open(path).convert("RGB"), runs)


def _in_process_of_its_own(name: str, path: Path, runs: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "--part", name, "--image", path, "--runs", str(runs)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def _median(work: Callable[[], object], runs: int) -> float:
    """Return the median time in seconds, after one run that does not count."""
    work()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def engine_times(engine: str, image: Image.Image, runs: int) -> dict[str, float]:
    """Return the times of tacit-s on an engine in milliseconds, and the ratio on a busy machine."""
    from tacit.codec import Codec
    from tacit.codec.engines import Engines
    from tacit.codec.threads import thread_count
    from tacit.text.caption_tokens import CaptionTokens

    codec = Codec(engine=engine, threads=CORES)
    data = codec.encode(image, None, QUALITY)
    load = _median(lambda: Engines(engine, "cpu", "auto").model(codec.path), 3)
    model = Engines(engine, "cpu", "auto").model(codec.path)
    pixels = np.array(image)[None]
    tokens = CaptionTokens.empty(1, model.text_width)
    rows, columns = (model.latent_size(side) for side in pixels.shape[1:3])
    with thread_count(CORES):
        y = model.analyse(pixels, tokens)
        streams, latents = model.compress(y, QUALITY)
        times = {
            "load": load,
            "encode": _median(lambda: codec.encode(image, None, QUALITY), runs),
            "encode_caption": _median(lambda: codec.encode(image, CAPTION, QUALITY), runs),
            "encode_analysis": _median(lambda: model.analyse(pixels, tokens), runs),
            "encode_entropy": _median(lambda: model.compress(y, QUALITY), runs),
            "decode": _median(lambda: codec.decode(data).load(), runs),
            "decode_entropy": _median(lambda: model.decompress(streams, rows, columns, QUALITY), runs),
            "decode_synthesis": _median(lambda: model.levels(latents, QUALITY), runs),
        }
        with busy_processes(CORES):
            busy = _median(lambda: codec.decode(data).load(), runs)
    ratio = busy / times["decode"]
    return {**{name: 1000 * seconds for name, seconds in times.items()}, "decode_busy": ratio}


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Run beside processes that never wait, on the same cores."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def avif(image: Image.Image, runs: int) -> dict[str, float]:
    """Return the times of Pillow's AVIF in milliseconds."""

    def encode() -> bytes:
        stream = io.BytesIO()
        image.save(stream, "AVIF")
        return stream.getvalue()

    data = encode()
    return {
        "avif_encode": 1000 * _median(encode, runs),
        "avif_decode": 1000 * _median(lambda: Image.open(io.BytesIO(data)).load(), runs),
    }


def round_trip(path: Path) -> dict[str, float]:
    """Encode and decode a file once; return seconds, and the peak memory of this process in MB."""
    Image.MAX_IMAGE_PIXELS = None
    from tacit.codec import Codec

    codec = Codec(threads=CORES)
    begun = time.perf_counter()
    data = codec.encode(path, None, QUALITY)
    encoded = time.perf_counter()
    codec.decode(data)
    decoded = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return {"encode": encoded - begun, "decode": decoded - encoded, "memory": peak * unit / 1e6}


def large_image() -> Image.Image:
    """Return an image of 100 megapixels, a mosaic of scikit-image's photographs."""
    from tacit.demo.samples import SAMPLES, sample_image

    size = (12_288, 8_192)
    mosaic = Image.new("RGB", size)
    tiles = [sample_image(s.name).resize((1024, 1024)) for s in SAMPLES]
    for row in range(size[1] // 1024):
        for column in range(size[0] // 1024):
            mosaic.paste(tiles[(row + column) % len(tiles)], (1024 * column, 1024 * row))
    return mosaic


def commands(folder: Path, runs: int) -> dict[str, float]:
    """Return the times of whole processes in seconds; the package is compiled, as pip leaves it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "OMP_NUM_THREADS": str(CORES)}
    paths = [str(ROOT / "src"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    def seconds(*arguments: str) -> float:
        def run() -> None:
            subprocess.run(
                [sys.executable, *arguments], check=True, capture_output=True, cwd=folder, env=environment, timeout=600
            )

        return _median(run, runs)

    return {
        "command_encode": seconds("-m", "tacit", "encode", "-f", "-q", str(QUALITY), "image.png"),
        "command_decode": seconds("-m", "tacit", "decode", "-f", "image.tacit", "-o", "back.png"),
        "command_thumbnail": seconds("-m", "tacit", "thumbnail", "image.tacit", "thumbnail.png"),
        "command_info": seconds("-m", "tacit", "info", "image.tacit"),
        "command_help": seconds("-m", "tacit", "--help"),
        "import": seconds("-c", "import tacit"),
    }


def taco_times(image: Image.Image, folder: Path, runs: int) -> dict[str, float]:
    """Return the times of the published network with random weights: what it codes is no image, but takes as long."""
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
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None, :, :256, :256].float() / 255
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
    data = codec.encode(image, CAPTION)
    return {
        "taco_encode": 1000 * _median(lambda: codec.encode(image, CAPTION), runs),
        "taco_decode": 1000 * _median(lambda: codec.decode(data), runs),
    }


def report(result: Mapping[str, Any], kind: str) -> str:
    """Return the figures and their limits as text."""
    described = result["machine"]
    cores = f"{CORES} of {described['cores']} cores, load {result['load_average']}"
    lines = [f"{described['processor']} ({KINDS[kind]}: {described['instructions']}), {cores}"]
    for name, value in result["measures"].items():
        unit, limit, text = MEASURES[name]
        beside = "" if limit is None else f"  limit {limit:>4g}{'' if value <= limit else '   MISSED'}"
        lines.append(f"{text:<52}{value:>8.4g} {unit:<5}{beside}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
