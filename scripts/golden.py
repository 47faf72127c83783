"""Make the conformance vectors of a shipped model anew after its weights changed: `python scripts/golden.py [MODEL]`.

The folder tests/vectors/golden/MODEL gets small `.tacit` files of synthetic images, made with the model's weights, and
`golden.json` with what they decode to: the hash of the latents, which are equal on every machine, and some of the
pixels, which may differ between machines (by 1 level in fp32).
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tacit import container, weights
from tacit.codec import Codec

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "golden"
SAMPLES = 8  # along each side

# name: width, height, mode, quality, caption; those in PROGRESSIVE are progressive, with so many scans
VECTORS: dict[str, tuple[int, int, str, float, str | None]] = {
    "pixel": (1, 1, "RGB", 50, None),
    "small": (33, 17, "RGB", 90, None),
    "grey": (48, 64, "L", 30.25, None),
    "alpha": (40, 30, "RGBA", 60, None),
    "lowest": (200, 120, "RGB", 0, None),
    "caption": (200, 120, "RGB", 50, "a red sun above blue waves"),
    "highest": (200, 120, "RGB", 100, None),
    "noise": (70, 50, "RGB", 100, None),
    "regions": (1100, 70, "RGB", 20, None),
    "progressive": (72, 100, "RGB", 70, None),
    "scans": (1100, 70, "RGB", 20, "a red sun above blue waves"),
}
PROGRESSIVE = {"progressive": 1, "scans": 5}
BEGINNINGS = (0.3, 0.6, 0.9)  # of the bytes behind the front of progressive files


def picture(name: str, width: int, height: int, mode: str) -> Image.Image:
    """Return a synthetic image: waves, a disc and a little noise, or only noise; its alpha is a ramp."""
    rng = np.random.default_rng(width * height)
    if name == "noise":
        return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    pixels = np.stack([90 + 40 * np.sin(x / 23), 110 + 30 * np.cos(y / 11), 150 + 50 * np.sin((x + y) / 37)], axis=2)
    disc = (x - 0.3 * width) ** 2 + (y - 0.4 * height) ** 2 < (0.25 * min(width, height)) ** 2
    pixels[disc] = (210, 60, 50)
    pixels += rng.normal(0, 3, pixels.shape)
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    if mode == "RGBA":
        ramp = np.rint(np.linspace(0, 255, width))[None].repeat(height, axis=0).astype(np.uint8)
        image.putalpha(Image.fromarray(ramp))
    return image.convert(mode)


def sample(image: Image.Image) -> list[list[int]]:
    """Return the pixels on a grid that reaches the corners, row by row."""
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    rows = np.linspace(0, image.height - 1, SAMPLES).astype(int)
    columns = np.linspace(0, image.width - 1, SAMPLES).astype(int)
    return [pixels[r, c].tolist() for r in rows for c in columns]


def hash_of(latents: np.ndarray) -> str:
    """Return the SHA-256 of latents, each in two bytes, the lower first."""
    return hashlib.sha256(latents.astype("<i2").tobytes()).hexdigest()


def describe(codec: Codec, data: bytes) -> dict[str, Any]:
    """Describe what a file decodes to.

    `latents` is the SHA-256 of the integers [M, h, w], each in two bytes, the lower first.
    """
    latents = codec.latents(data)
    image = codec.decode(data)
    return {
        "latents": hash_of(latents),
        "shape": list(latents.shape),
        "mode": image.mode,
        "means": np.asarray(image).reshape(-1, len(image.getbands())).mean(axis=0).round(3).tolist(),
        "samples": sample(image),
    }


def beginnings(codec: Codec, data: bytes) -> dict[str, str]:
    """Return the hashes of the latents of beginnings of a progressive file, by how many bytes they have."""
    front = container.front_size(data)
    assert front is not None
    sizes = [front + round(share * (len(data) - front)) for share in BEGINNINGS]
    return {str(size): hash_of(codec.latents(data[:size], partial=True)) for size in sizes}


def in_scans(data: bytes, scans: int) -> bytes:
    """Return a progressive file with so many scans."""
    file = container.read(data)
    header = dataclasses.replace(file.header, scans=scans)
    return container.write(header, file.metadata, file.alpha, [region or b"" for region in file.regions])


def main() -> None:
    """Write the folder anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=weights.DEFAULT, choices=weights.SHIPPED)
    model = parser.parse_args().model
    codec = Codec(model, precision="fp32", threads=1)
    folder = FOLDER / model
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.tacit"):
        old.unlink()
    found: dict[str, Any] = {}
    for name, (width, height, mode, quality, caption) in VECTORS.items():
        image = picture(name, width, height, mode)
        scans = PROGRESSIVE.get(name)
        data = codec.encode(image, caption, quality, store_caption=True, progressive=scans is not None)
        if scans is not None:
            data = in_scans(data, scans)
        (folder / f"{name}.tacit").write_bytes(data)
        found[name] = {"bytes": len(data), **describe(codec, data)}
        if scans is not None:
            found[name]["beginnings"] = beginnings(codec, data)
    text = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in found.items())
    (folder / "golden.json").write_text("{\n" + text + "\n}\n")
    print(f"{len(found)} files, {sum(f['bytes'] for f in found.values())} bytes, in {folder}")


if __name__ == "__main__":
    main()
