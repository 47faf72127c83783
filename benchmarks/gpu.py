"""Check and measure the codec on a GPU: `python -m benchmarks.gpu -m WEIGHTS... --out FILE`; at most three minutes.

1. Files made on a CPU decode to the integers on record, in every precision, one by one and together; their pixels are
   compared with those that a CPU makes. The files are the conformance vectors of models that are at hand, and those of
   `--files`, which `--make` writes on a CPU.
2. `encode_batch`, `decode_batch`, `read` and `synthesise` are measured over 64 images of 768x512 in batches of several
   sizes, in megapixels per second, and the stages of a batch of 64 one by one.

The result is JSON: printed, and written to `--out`. With `--device cpu --quick` all of it is rehearsed in a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks.environment import describe_machine
from tacit import container, weights
from tacit import image as images
from tacit.codec import Codec, encoding
from tacit.entropy.pool import CoderPool, PooledDecoders
from tacit.entropy.streams import LocalCoders, LocalDecoders
from tacit.errors import TacitError
from tacit.evaluation.readable_json import dumps
from tacit.exact.calibration import synthetic_images
from tacit.models.coding import CodingModel
from tacit.models.frozen import FrozenEntropy
from tacit.models.layers import GatedBlock
from tacit.models.tacit_s import PIXELS8

ROOT = Path(__file__).resolve().parent.parent
VECTORS = ROOT / "tests" / "vectors" / "golden"
WIDTH, HEIGHT = 768, 512
QUALITY = 50
IMAGES = 64
BATCHES = (64, 256, 8, 1)
MADE = (0, 25, 50, 75, 100)  # qualities of the files that --make writes


class Clock:
    """How much time is left of a budget."""

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds

    def left(self) -> float:
        """Return the seconds that are left."""
        return self._end - time.perf_counter()


def main() -> None:
    """Check and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", type=Path, nargs="+", help="weights files; the first one is measured")
    parser.add_argument("--files", type=Path, help="a folder that --make has written")
    parser.add_argument("--images", type=Path, help="a folder of photographs; without them noise is coded")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="auto", help="of the measurements: fp32, bf16 or auto")
    parser.add_argument("--seconds", type=float, default=150, help="after which no further measurement begins")
    parser.add_argument("--quick", action="store_true", help="few and small images, once")
    parser.add_argument("--profile", action="store_true", help="list the kernels that take the most time")
    parser.add_argument("--blocks", action="store_true", help="measure other ways to compute a block; this compiles")
    parser.add_argument("--out", type=Path, help="a JSON file for the result")
    parser.add_argument("--make", type=Path, metavar="FOLDER", help="write files and hashes on this CPU, and stop")
    arguments = parser.parse_args()
    models = arguments.model or [weights.locate(weights.DEFAULT)]
    if arguments.make:
        make(arguments.make, models, photographs(arguments.images, 2))
        return
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU that torch can use; rehearse with --device cpu --quick")
        return
    clock = Clock(arguments.seconds)
    device = torch.device(arguments.device)
    result: dict[str, Any] = {
        "command": command(arguments),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        **describe_machine(),
        "weights_hash": weights.describe(models[0]).decode_hash.hex(),
    }

    def record(name: str, work: Callable[[], Any]) -> None:
        """Do a part; one that fails is recorded, as a lent GPU may not be there a second time."""
        began = time.perf_counter()
        try:
            result[name] = work()
        except Exception as error:  # whatever it is
            result[name] = f"{type(error).__name__}: {error}"
        result.setdefault("seconds", {})[name] = round(time.perf_counter() - began, 1)
        print(f"{name}: {json.dumps(result[name])}", flush=True)
        if arguments.out:
            arguments.out.write_text(dumps(result))

    count, batches = (4, (4, 1)) if arguments.quick else (IMAGES, BATCHES)
    pictures = photographs(arguments.images, count, small=arguments.quick)
    codec = Codec(models[0], device=device, precision=arguments.precision)
    record("checks", lambda: checks(models, arguments.files, device, quick=arguments.quick))
    record("speed", lambda: speed(codec, pictures, batches, clock, runs=1 if arguments.quick else 5))
    record("stages", lambda: stages(codec, pictures, runs=1 if arguments.quick else 3))
    if arguments.profile and device.type == "cuda":
        record("kernels", lambda: kernels(codec, pictures))
    if arguments.blocks:
        record("blocks", lambda: blocks(device, 1 << 16 if arguments.quick else 8 << 20))


def command(arguments: argparse.Namespace) -> str:
    """Return the command, with FOLDER for folders and WEIGHTS for weights files."""
    given = [
        ("-m WEIGHTS", arguments.model),
        ("--images FOLDER", arguments.images),
        ("--files FOLDER", arguments.files),
    ]
    parts = [text for text, value in given if value]
    return " ".join(["python -m benchmarks.gpu", *parts, f"--seconds {arguments.seconds:g}"])


def photographs(folder: Path | None, count: int, *, small: bool = False) -> list[Image.Image]:
    """Return `count` images of 768x512 pixels, cut and turned from those of the folder."""
    width, height = (192, 128) if small else (WIDTH, HEIGHT)
    found = []
    for path in sorted(folder.iterdir()) if folder else []:
        if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"):
            image = Image.open(path).convert("RGB")
            image = image.transpose(Image.Transpose.ROTATE_90) if image.height > image.width else image
            if image.width >= width and image.height >= height:
                found.append(image.crop((0, 0, width, height)))
    if not found:
        noise = synthetic_images(max(width, height))[:, :, :height, :width]
        found = [Image.fromarray(levels) for levels in (noise * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()]
    turns = (None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.ROTATE_180)
    several = []
    for number in range(count):
        turn = turns[number // len(found) % len(turns)]
        image = found[number % len(found)]
        several.append(image if turn is None else image.transpose(turn))
    return several


# -- checks ---------------------------------------------------------------------------------------------------------


def sha256(latents: np.ndarray) -> str:
    """Return the hash of latents, as the conformance vectors have it."""
    return hashlib.sha256(latents.astype("<i2").tobytes()).hexdigest()


def make(folder: Path, models: Sequence[Path], pictures: Sequence[Image.Image]) -> None:
    """Write files of each model, and the hashes of their latents."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes: dict[str, dict[str, str]] = {}
    for model in models:
        codec = Codec(model)
        for quality in MADE:
            for number, picture in enumerate(pictures):
                name = f"{model.stem}-{quality}-{number}"
                caption = "a photograph of something" if number % 2 else None
                data = codec.encode(picture, caption, quality)
                (folder / f"{name}.tacit").write_bytes(data)
                hashes[name] = {"latents": sha256(codec.latents(data))}
    (folder / "golden.json").write_text(dumps(hashes))


def recorded(folder: Path) -> dict[str, tuple[bytes, str]]:
    """Return the files of a folder, and the hashes of their latents."""
    expected = json.loads((folder / "golden.json").read_text())
    return {name: ((folder / f"{name}.tacit").read_bytes(), found["latents"]) for name, found in expected.items()}


def checks(models: Sequence[Path], folder: Path | None, device: torch.device, *, quick: bool) -> dict[str, Any]:
    """Check files that a CPU has made."""
    sources = [*sorted(path for path in VECTORS.glob("*") if path.is_dir()), *([folder] if folder else [])]
    codecs = {weights.describe(model).decode_hash: model for model in models}
    files: dict[str, tuple[bytes, str]] = {}
    for source in sources:
        found = recorded(source)
        files |= {f"{source.name}/{name}": found[name] for name in list(found)[: 3 if quick else None]}
    result: dict[str, Any] = {"files": len(files)}
    exact = {name: Codec(device="cpu", precision="fp32") for name in ("shipped",)}
    # a processor that has no bf16 takes minutes for it
    for precision in ("fp32",) if device.type == "cpu" else ("fp32", "bf16"):
        equal, together, missing = 0, 0, 0
        largest = between = 0
        groups: dict[bytes, list[str]] = defaultdict(list)
        for name, (data, _) in files.items():
            groups[container.read(data).header.weights_hash].append(name)
        for weights_hash, names in groups.items():
            path = codecs.get(weights_hash)
            codec = Codec(path or weights.DEFAULT, device=device, precision=precision)
            reference = exact["shipped"] if path is None else Codec(path, device="cpu", precision="fp32")
            try:
                codec.latents(files[names[0]][0])
            except TacitError:
                missing += len(names)
                continue
            alone = [codec.latents(files[name][0]) for name in names]
            equal += sum(sha256(values) == files[name][1] for values, name in zip(alone, names, strict=True))
            together += sum(_equal_together(codec, [files[name][0] for name in names], alone))
            one_by_one = [_levels(codec.decode(files[name][0])) for name in names]
            batch = [_levels(image) for image in codec.decode_batch([files[name][0] for name in names])]
            between = max(between, *(_difference(a, b) for a, b in zip(one_by_one, batch, strict=True)))
            for name, levels in list(zip(names, one_by_one, strict=True))[::2]:
                largest = max(largest, _difference(levels, _levels(reference.decode(files[name][0]))))
        result[precision] = {
            "latents_equal": f"{equal} of {len(files) - missing}",
            "latents_equal_in_batches": f"{together} of {len(files) - missing}",
            "without_weights": missing,
            "largest_difference_of_pixels": largest,
            "largest_difference_in_batches": between,
        }
    return result


def _equal_together(codec: Codec, files: Sequence[bytes], alone: Sequence[np.ndarray]) -> list[bool]:
    """Return whether the latents of each file are the same where all files are decoded at once."""
    from tacit.codec.decoding import FileDecoding, decode_regions

    parsed = [container.read(data) for data in files]
    decodings = [FileDecoding(file, codec._for_file(file.header)) for file in parsed]  # noqa: SLF001 - as `_decode` does
    decode_regions(decodings, salvage=False)
    return [
        np.array_equal(d.model.engine.to_host(d.values), values) for d, values in zip(decodings, alone, strict=True)
    ]


def _levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.int16)


def _difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a - b).max())


# -- speed ----------------------------------------------------------------------------------------------------------


def speed(
    codec: Codec, pictures: Sequence[Image.Image], batches: Sequence[int], clock: Clock, runs: int
) -> dict[str, Any]:
    """Measure the codec's methods in megapixels per second, the median of several runs."""
    pixels = pictures[0].width * pictures[0].height
    arrays = [np.asarray(picture) for picture in pictures]
    files = codec.encode_batch(arrays, quality=QUALITY)
    same = codec.encode_batch(arrays[:2], quality=QUALITY) == files[:2]
    result: dict[str, Any] = {"bits_per_pixel": 8 * sum(map(len, files)) / (pixels * len(files)), "files_equal": same}
    for batch in batches:
        taken = [number % len(pictures) for number in range(batch if batch > 1 else 4)]
        some_files, some_arrays = [files[n] for n in taken], [arrays[n] for n in taken]
        measured = (
            one_by_one(codec, some_arrays, some_files) if batch == 1 else by_batch(codec, some_arrays, some_files)
        )
        found: dict[str, Any] = {}
        for name, work in measured.items():
            if clock.left() < 0:
                found[name] = "no time"
                continue
            seconds = _median(work, runs, torch.device(codec.device), limit=6)
            found[name] = round(pixels * len(taken) / seconds / 1e6, 2)
        result[f"batch {batch}"] = found
    if codec.device.startswith("cuda"):
        result["peak_memory"] = torch.cuda.max_memory_allocated(torch.device(codec.device))
    return result


def one_by_one(codec: Codec, arrays: Sequence[np.ndarray], files: Sequence[bytes]) -> dict[str, Callable[[], object]]:
    """Return what is measured image by image."""
    return {
        "encode": lambda: [codec.encode(array, quality=QUALITY) for array in arrays],
        "decode": lambda: [codec.decode(data) for data in files],
        "read": lambda: [codec.read(data) for data in files],
    }


def by_batch(codec: Codec, arrays: Sequence[np.ndarray], files: Sequence[bytes]) -> dict[str, Callable[[], object]]:
    """Return what is measured on all images at once."""
    latents = [codec.read(data) for data in files]
    return {
        "encode_batch": lambda: codec.encode_batch(arrays, quality=QUALITY),
        "decode_batch": lambda: codec.decode_batch(files),
        "synthesise": lambda: codec.synthesise(latents, together=16 << 20, on_device=True),
    }


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _median(work: Callable[[], object], runs: int, device: torch.device, limit: float) -> float:
    """Return the median time in seconds after a run that does not count; no run begins after `limit` seconds."""
    work()
    times: list[float] = []
    end = time.perf_counter() + limit
    while not times or (len(times) < runs and time.perf_counter() < end):
        _synchronise(device)
        began = time.perf_counter()
        work()
        _synchronise(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


# What is timed in a batch: an object, the name of its function, the stage, and whether the GPU is waited for.
STAGES: tuple[tuple[Any, str, str, bool], ...] = (
    (images, "load", "encode: images to arrays", False),
    (encoding, "tiles_together", "encode: arrays to the device", True),
    (CodingModel, "analyse", "encode: analysis", True),
    (FrozenEntropy, "compress", "encode: entropy networks and coding", True),
    (LocalCoders, "encode", "encode, of it: range coding", False),
    (CoderPool, "encode", "encode, of it: range coding in processes", False),
    (CodingModel, "decompress", "decode: entropy networks and coding", True),
    (LocalDecoders, "step", "decode, of it: range coding", False),
    (PooledDecoders, "step", "decode, of it: range coding in processes", False),
    (CodingModel, "synthesise", "decode: synthesis", True),
    (container, "read", "decode: container", False),
    (container, "write", "encode: container", False),
    (images, "to_pil", "decode: arrays to images", False),
)


@contextlib.contextmanager
def _timed(times: dict[str, float], device: torch.device) -> Iterator[None]:
    """Add up the seconds of each stage; those in threads add up to more than passes."""
    with contextlib.ExitStack() as stack:
        for owner, name, stage, waits in STAGES:
            if not hasattr(owner, name):
                continue
            genuine = getattr(owner, name)

            def timed(
                *given: Any, _genuine: Any = genuine, _stage: str = stage, _waits: bool = waits, **named: Any
            ) -> Any:
                if _waits:
                    _synchronise(device)
                began = time.perf_counter()
                try:
                    return _genuine(*given, **named)
                finally:
                    if _waits:
                        _synchronise(device)
                    times[_stage] += time.perf_counter() - began

            stack.enter_context(mock.patch.object(owner, name, timed))
        yield


def stages(codec: Codec, pictures: Sequence[Image.Image], runs: int) -> dict[str, Any]:
    """Measure the stages of a batch in milliseconds; the GPU is waited for at each, which makes the whole slower."""
    files = codec.encode_batch(pictures, quality=QUALITY)
    totals: dict[str, list[float]] = defaultdict(list)
    for _ in range(runs):
        times: dict[str, float] = defaultdict(float)
        with _timed(times, torch.device(codec.device)):
            for name, work in (
                ("encode: all", lambda: codec.encode_batch(pictures, quality=QUALITY)),
                ("decode: all", lambda: codec.decode_batch(files)),
            ):
                began = time.perf_counter()
                work()
                times[name] += time.perf_counter() - began
        for name, seconds in times.items():
            totals[name].append(1000 * seconds)
    return {name: round(statistics.median(found), 2) for name, found in sorted(totals.items())}


def kernels(codec: Codec, pictures: Sequence[Image.Image]) -> dict[str, list[str]]:
    """Return the kernels that take the most time of a batch: milliseconds, calls, name."""
    from torch.profiler import ProfilerActivity, profile

    files = codec.encode_batch(pictures, quality=QUALITY)
    result = {}
    for name, work in (
        ("encode", lambda: codec.encode_batch(pictures, quality=QUALITY)),
        ("decode", lambda: codec.decode_batch(files)),
    ):
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
            work()
            _synchronise(torch.device(codec.device))
        rows = sorted(profiler.key_averages(), key=lambda e: e.self_device_time_total, reverse=True)
        result[name] = [f"{e.self_device_time_total / 1000:.2f} ms {e.count}x {e.key[:110]}" for e in rows[:22]]
    return result


# -- a block of the transforms ----------------------------------------------------------------------------------------


def blocks(device: torch.device, pixels: int, *, compile_too: bool = True) -> dict[str, Any]:
    """Measure a block at 1/8, as it is, its parts, and what might replace it, in milliseconds for so many pixels.

    The last number of a replacement is its largest difference from the block, relative to the largest value.
    """
    torch.manual_seed(0)
    precision = torch.bfloat16 if device.type == "cuda" else torch.float32
    block = GatedBlock(PIXELS8)
    for layer in (block.mix_out, block.gate_out):
        torch.nn.init.normal_(layer.weight, std=0.05)
    block = block.to(device, precision).requires_grad_(False).eval()
    side = round(math.sqrt(pixels / 64))
    x = torch.randn(1, PIXELS8, side, side, device=device).contiguous(memory_format=torch.channels_last)
    narrow = x.to(precision)
    wide = block.gate_in(narrow)
    result: dict[str, Any] = {}

    def measure(name: str, work: Callable[[], torch.Tensor], expected: torch.Tensor | None = None) -> None:
        with torch.inference_mode():
            milliseconds = 1000 * _median(work, 9, device, limit=3)
            result[name] = [round(milliseconds, 3)]
            if expected is not None:
                result[name].append(float((work() - expected).abs().max() / expected.abs().max()))

    with torch.inference_mode():
        expected = block(x.clone()).clone()
    measure("block", lambda: block(x.clone()))
    measure("clone", lambda: x.clone())
    measure("cast", lambda: x.to(precision))
    measure("pointwise convolution", lambda: block.mix_in(narrow))
    measure("pointwise as a product", lambda: _pointwise(block.mix_in, narrow))
    measure("depthwise convolution", lambda: block.depthwise(narrow))
    measure("gate_in", lambda: block.gate_in(narrow))
    measure("gated unit", lambda: F.glu(wide, dim=1))
    measure("residual", lambda: x + narrow)
    measure("block of products", lambda: _block_of_products(block, x.clone()), expected)
    if not compile_too:
        return result
    for name, work in (("compiled block", block), ("compiled block of products", partial(_block_of_products, block))):
        began = time.perf_counter()
        compiled = torch.compile(work)
        with torch.inference_mode():
            compiled(x.clone())
        measure(name, partial(lambda run: run(x.clone()), compiled), expected)
        result[name].append(f"compiled in {time.perf_counter() - began:.1f} s")
    return result


def _pointwise(layer: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Return a 1x1 convolution of planes that are channels last, as one product with its bias inside."""
    rows = F.linear(x.permute(0, 2, 3, 1), layer.weight[:, :, 0, 0], layer.bias)
    return rows.permute(0, 3, 1, 2)


def _block_of_products(block: GatedBlock, x: torch.Tensor) -> torch.Tensor:
    """Return what a block does, with products in the place of its 1x1 convolutions."""
    own = block.mix_in.weight.dtype
    mixed = F.leaky_relu(_pointwise(block.mix_in, x.to(own)), 0.1, inplace=True)
    x = x + _pointwise(block.mix_out, block.depthwise(mixed))
    return x.add_(_pointwise(block.gate_out, F.glu(_pointwise(block.gate_in, x.to(own)), dim=1)))


if __name__ == "__main__":
    main()
