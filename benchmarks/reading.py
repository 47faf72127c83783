"""Compare a training job that reads `.tacit` shards with one that reads JPEG shards of the same images.

    python -m benchmarks.reading [--photos N]

The images are the first N of $TACIT_DATA/coco_eval, or else crops of scikit-image's samples, resized to a short side of
320 pixels. Shards are written in three forms: `.tacit` at quality 50, JPEG of the same mean PSNR, and JPEG of quality
95, at which img2dataset keeps images. Each is read in random crops of 224 pixels by 0, 1 and 2 workers, and read by 2
workers while the network of examples/train_on_shards.py trains. The clock starts when the workers have their weights.
The results are written to results/reading.json.

`cpu_ms` is the processor time of all processes per image. It is the figure to compare where other programs run, because
images per second are measured by the clock. The load average is recorded beside it.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from benchmarks.environment import describe_machine, find_data
from examples.train_on_shards import build_encoder, contrast
from tacit import weights
from tacit.codec import Codec
from tacit.data import Collate, ImageBatch, Synthesiser, TacitShards
from tacit.data.shards import read_members, reader_number
from tacit.evaluation.readable_json import dumps
from tacit.image.psnr import psnr
from tacit.training.dataset.image_files import decode_image, random_crop, read_folder

ROOT = Path(__file__).resolve().parent.parent
SHORT, CROP, BATCH, QUALITY = 320, 224, 16, 50
CONFIGURATIONS = [
    *itertools.product(("tacit", "tacit, pixels in the main process", "jpeg"), (0, 1, 2), ("reading",)),
    *itertools.product(("tacit", "tacit, pixels in the main process", "jpeg"), (2,), ("training",)),
]


class JpegShards(IterableDataset[np.ndarray]):
    """Crops of the images in JPEG shards, each once."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = urls
        self.epoch = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        number, readers = reader_number(0, 1)
        rng = np.random.default_rng(number)
        for row in read_members(self.urls[number::readers], ("jpg",), 0, 0, _fail):
            yield random_crop(decode_image(io.BytesIO(row["jpg"])), CROP, rng)


class StartedWorkers(IterableDataset[Any]):
    """One batch of `data` at first, and all of it once `warm` is set: by then its workers have started."""

    def __init__(self, data: IterableDataset[Any]) -> None:
        self.data = data
        self.warm = torch.zeros((), dtype=torch.bool).share_memory_()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data) if self.warm else itertools.islice(self.data, BATCH)


def main() -> None:
    """Measure, and write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "reading.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    photos, origin = _photos(arguments.photos)
    with tempfile.TemporaryDirectory() as name:
        shards, files = _write(photos, Path(name))
        rows = []
        for form, workers, work in CONFIGURATIONS:
            rows.append(measure(form, workers, work, shards, len(photos)))
            print(json.dumps(rows[-1]), flush=True)
    result = {
        "command": " ".join(["python -m benchmarks.reading", *sys.argv[1:]]),
        "photographs": f"{len(photos)} of {origin}, short side {SHORT}",
        "crop": CROP,
        "batch": BATCH,
        "weights_hash": weights.describe(weights.locate(weights.DEFAULT)).decode_hash.hex(),
        **describe_machine(),
        "files": files,
        "rows": rows,
    }
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(dumps(result))


def _photos(count: int) -> tuple[list[Image.Image], str]:
    try:
        folder = find_data("coco_eval")
        found = [Image.fromarray(decode_image(path)) for path in read_folder(folder).paths[:count]]
        origin = "coco_eval"
    except SystemExit:
        from tacit.demo.samples import SAMPLES, sample_image

        origin = "scikit-image, cut at random"
        whole = [sample_image(sample.name) for sample in SAMPLES]
        rng = np.random.default_rng(0)
        found = [Image.fromarray(random_crop(np.asarray(whole[i % len(whole)]), 300, rng)) for i in range(count)]
    return [_resized(photo) for photo in found], origin


def _resized(photo: Image.Image) -> Image.Image:
    scale = SHORT / min(photo.size)
    size = round(photo.width * scale), round(photo.height * scale)
    return photo.resize(size, Image.Resampling.LANCZOS)


def _jpeg(photo: Image.Image, quality: int) -> bytes:
    stream = io.BytesIO()
    photo.save(stream, "JPEG", quality=quality, optimize=True)
    return stream.getvalue()


def _write(photos: Sequence[Image.Image], folder: Path) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """Write two shards of each form, and describe what they hold."""
    codec = Codec(threads=1)
    arrays = [np.asarray(photo) for photo in photos]

    def fidelity(files: Sequence[bytes], read: Callable[[bytes], Image.Image]) -> float:
        return float(np.mean([psnr(np.asarray(read(f)), a) for f, a in zip(files, arrays, strict=True)]))

    def opened(data: bytes) -> Image.Image:
        return Image.open(io.BytesIO(data))

    ours = [codec.encode(photo, quality=QUALITY) for photo in photos]
    goal = fidelity(ours, codec.decode)
    low, high = 1, 95
    while low < high:
        middle = (low + high) // 2
        if fidelity([_jpeg(photo, middle) for photo in photos], opened) < goal:
            low = middle + 1
        else:
            high = middle
    forms = {
        "tacit": (f"tacit, quality {QUALITY}", ours, goal),
        "jpeg": (f"JPEG, quality {low}, the first of that PSNR", [_jpeg(photo, low) for photo in photos], None),
        "jpeg 95": ("JPEG, quality 95, as img2dataset keeps images", [_jpeg(photo, 95) for photo in photos], None),
    }
    shards: dict[str, list[str]] = {}
    about = []
    for form, (title, files, found) in forms.items():
        suffix = "tacit" if form == "tacit" else "jpg"
        shards[form] = [str(folder / f"{form}-{shard}.tar") for shard in range(2)]
        for shard, path in enumerate(shards[form]):
            with tarfile.open(path, "w") as tar:
                for number in range(shard, len(files), 2):
                    member = tarfile.TarInfo(f"{number:06}.{suffix}")
                    member.size = len(files[number])
                    tar.addfile(member, io.BytesIO(files[number]))
        about.append(
            {
                "form": title,
                "bytes_per_image": round(float(np.mean([len(f) for f in files])), 1),
                "shard_bytes_per_image": round(sum(Path(p).stat().st_size for p in shards[form]) / len(files), 1),
                "psnr": round(fidelity(files, opened) if found is None else found, 2),
            }
        )
    return shards, about


def measure(form: str, workers: int, work: str, shards: dict[str, list[str]], count: int) -> dict[str, Any]:
    """Measure one pass over the shards."""
    kind = form.split(",")[0]
    collate: Callable[[Any], Any]
    images: Callable[[Any], Tensor]
    if kind == "jpeg":
        data: IterableDataset[Any] = JpegShards(shards["jpeg"])
        collate, images = _stacked, _same
    else:
        data = TacitShards(*shards["tacit"], shuffle=0)
        collate = Collate(CROP, pixels=form == "tacit")
        images = _images if form == "tacit" else _made(Synthesiser())
    warming = StartedWorkers(data)
    loader = DataLoader(warming, BATCH, num_workers=workers, collate_fn=collate, persistent_workers=workers > 0)
    step = _step() if work == "training" else _read
    for batch in loader:
        step(images(batch))
    warming.warm.fill_(True)
    cpu, wall, seen = _cpu(), time.perf_counter(), 0
    for batch in loader:
        seen += step(images(batch))
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    assert seen == count, f"{seen} of {count} images"
    return {
        "what": work,
        "format": form,
        "workers": workers,
        "images_per_second": float(f"{seen / wall:.4g}"),
        "cpu_ms": float(f"{1000 * cpu / seen:.4g}"),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _step() -> Callable[[Tensor], int]:
    model = build_encoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    words = torch.randn(BATCH, 256)

    def step(images: Tensor) -> int:
        loss = contrast(model(images.float() / 255 - 0.5), words[: len(images)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return len(images)

    return step


def _read(images: Tensor) -> int:
    return len(images)


def _same(batch: Tensor) -> Tensor:
    return batch


def _images(batch: ImageBatch) -> Tensor:
    assert isinstance(batch.images, Tensor)
    return batch.images


def _made(synthesise: Synthesiser) -> Callable[[Any], Tensor]:
    return lambda batch: _images(synthesise(batch))


def _stacked(crops: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def _fail(url: str, error: Exception) -> None:
    raise error


def _cpu() -> float:
    """Return the processor time in seconds of this process and of its workers."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = time.process_time()
    for child in active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total


if __name__ == "__main__":
    main()
